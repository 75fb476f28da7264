-- Orders that lost an attempt are few among many, and are looked for when something is wrong.
CREATE INDEX work_order_log_lost_attempts ON work_order_log (completed_at DESC, id DESC)
    WHERE lost_count > 0 OR ending = 'lost';
