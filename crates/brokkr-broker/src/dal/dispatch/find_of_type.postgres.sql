-- $1 routes and types with how many are wanted, $2 now, $3 how many are wanted in all.
WITH input AS MATERIALIZED ({input})
SELECT found.*, input.route AS found_on
  FROM input
 CROSS JOIN LATERAL (
        -- At most n rows, read in the order of the index. The orders are locked, never their routes: claimers that lock routes
        -- and then update orders deadlock as soon as orders have two routes. CASE hides from the planner how many orders are
        -- PENDING: without statistics it takes them for few, and then reads and sorts the whole backlog.
        SELECT work_orders.id, work_orders.work_type, work_orders.priority, work_orders.targeting
          FROM work_order_routes
          JOIN work_orders ON work_orders.id = work_order_routes.work_order_id
         WHERE work_order_routes.route = input.route
           AND work_order_routes.work_type = input.work_type
           AND CASE work_orders.status
               WHEN 'PENDING' THEN work_orders.start_by IS NULL OR work_orders.start_by >= $2
                                   OR work_orders.retry_count + work_orders.infrastructure_retry_count + work_orders.lost_count > 0
               ELSE FALSE END
         ORDER BY work_order_routes.priority DESC, work_order_routes.work_order_id
         LIMIT LEAST(input.n, $3)
           FOR UPDATE OF work_orders SKIP LOCKED
       ) AS found
