-- What an agent holds is listed by age.
DROP INDEX work_orders_claimed_by;
CREATE INDEX work_orders_claimed_by ON work_orders (claimed_by, id) WHERE claimed_by IS NOT NULL;

-- There are no dead rows here, and no settings of single tables: the twin of this script has them.
