-- What an order is for stands in its targeting, and what it can be claimed by in its routes: a third copy, kept and removed with
-- every order, cost a seventh of its way through the database. The broker opens and closes routes itself, by their whole key.
DROP TABLE work_order_targets;

-- SQLite drops no reference from a table that is there.
CREATE TABLE work_order_routes_without_reference (
    route         TEXT NOT NULL,
    work_type     TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    work_order_id TEXT NOT NULL
) STRICT;
INSERT INTO work_order_routes_without_reference SELECT route, work_type, priority, work_order_id FROM work_order_routes;
DROP TABLE work_order_routes;
ALTER TABLE work_order_routes_without_reference RENAME TO work_order_routes;
CREATE UNIQUE INDEX work_order_routes_claim ON work_order_routes (route, work_type, priority DESC, work_order_id);
-- For a claim of any work type.
CREATE INDEX work_order_routes_any_type ON work_order_routes (route, priority DESC, work_order_id);

-- Ids tell the time, so the audit's oldest facts are found by them.
DROP INDEX audit_at;

-- Renewals are the most frequent change of all, and change the lease: without an index on it, and with room on the page, they write no
-- index at all. Passed leases are looked for among the orders that are claimed, of which there are as many as agents have slots.
DROP INDEX work_orders_lease;
