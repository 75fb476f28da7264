-- What an order is for stands in its targeting, and what it can be claimed by in its routes: a third copy, kept and removed with
-- every order, cost a seventh of its way through the database. The broker opens and closes routes itself, by their whole key.
DROP TABLE work_order_targets;
ALTER TABLE work_order_routes DROP CONSTRAINT work_order_routes_work_order_id_fkey;
DROP INDEX work_order_routes_order;
-- Ids tell the time, so the audit's oldest facts are found by them.
DROP INDEX audit_at;

-- Renewals are the most frequent change of all, and change the lease: without an index on it, and with room on the page, they write no
-- index at all. Passed leases are looked for among the orders that are claimed, of which there are as many as agents have slots.
DROP INDEX work_orders_lease;
ALTER TABLE work_orders SET (fillfactor = 60);
