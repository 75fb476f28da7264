-- Orders that did not choose their pause come back spread over time, not all at once.
ALTER TABLE work_orders ADD COLUMN backoff_jitter BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE work_order_log ADD COLUMN backoff_jitter BOOLEAN NOT NULL DEFAULT FALSE;
