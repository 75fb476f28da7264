-- Failures around the work have a budget of their own, so that they use up none of the retries that the user chose.
ALTER TABLE work_orders
  ADD COLUMN infrastructure_retries_max BIGINT NOT NULL DEFAULT 5 CHECK (infrastructure_retries_max >= 0);
ALTER TABLE work_orders
  ADD COLUMN infrastructure_retry_count BIGINT NOT NULL DEFAULT 0 CHECK (infrastructure_retry_count BETWEEN 0 AND infrastructure_retries_max);

ALTER TABLE work_order_log
  ADD COLUMN infrastructure_retries_max BIGINT NOT NULL DEFAULT 5 CHECK (infrastructure_retries_max >= 0);
ALTER TABLE work_order_log
  ADD COLUMN infrastructure_retries_attempted BIGINT NOT NULL DEFAULT 0 CHECK (infrastructure_retries_attempted BETWEEN 0 AND infrastructure_retries_max);
