-- What an agent holds is listed by age.
DROP INDEX work_orders_claimed_by;
CREATE INDEX work_orders_claimed_by ON work_orders (claimed_by, id) WHERE claimed_by IS NOT NULL;

-- The tables through which every order passes: however many rows wait in them, a few thousand dead ones are swept up at the next
-- round of the autovacuum, at once and at full speed. They keep their files' sizes: to cut one, all who use the table would have to wait.
ALTER TABLE work_orders SET (
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

-- A claim reads this table's indexes from their beginning, where the entries of the orders lie that were claimed before. So the
-- indexes are always swept, even when the table has few dead rows for its size.
ALTER TABLE work_order_routes SET (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_index_cleanup = on,
    vacuum_truncate = false
);

-- A heartbeat changes nothing that is indexed: where its page has room, it writes one row and no index entry.
ALTER TABLE agents SET (
    fillfactor = 50,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.1
);
