-- $1 routes with how many are wanted, $2 now, $3 how many are wanted in all.
WITH input AS MATERIALIZED ({input})
SELECT work_orders.id, work_orders.work_type, work_orders.priority, work_orders.targeting, input.route AS found_on
  FROM input
  -- There is no LATERAL here, and no limit that depends on a row; a subquery in IN may refer to the tables before it just as well.
 CROSS JOIN work_orders
 WHERE work_orders.id IN (
        SELECT first.work_order_id
          FROM work_order_routes AS first
          JOIN work_orders AS waiting ON waiting.id = first.work_order_id
         WHERE first.route = input.route
           AND waiting.status = 'PENDING'
           AND (waiting.start_by IS NULL OR waiting.start_by >= $2
                OR waiting.retry_count + waiting.infrastructure_retry_count + waiting.lost_count > 0)
         ORDER BY first.priority DESC, first.work_order_id
         LIMIT $3
       )
