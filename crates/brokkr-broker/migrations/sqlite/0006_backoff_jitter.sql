-- Orders that did not choose their pause come back spread over time, not all at once.
ALTER TABLE work_orders ADD COLUMN backoff_jitter INTEGER NOT NULL DEFAULT 0 CHECK (backoff_jitter IN (0, 1));
ALTER TABLE work_order_log ADD COLUMN backoff_jitter INTEGER NOT NULL DEFAULT 0 CHECK (backoff_jitter IN (0, 1));
