-- Whether an order that ended was repeated is asked of many at once.
CREATE INDEX work_orders_retry_of ON work_orders (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX work_order_log_retry_of ON work_order_log (retry_of) WHERE retry_of IS NOT NULL;
