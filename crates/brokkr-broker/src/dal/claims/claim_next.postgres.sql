-- $1 wanted work types (one row with NULL for any), $2 agent, $3 how many, $4 now, $5 lease seconds, $6 instance.
WITH input AS MATERIALIZED ({input}),
mine AS MATERIALIZED (
    SELECT agent_routes.route
      FROM agent_routes
     WHERE agent_routes.agent_id = $2
       AND EXISTS (SELECT 1 FROM agents WHERE id = $2 AND status = 'ACTIVE' AND deleted_at IS NULL)
),
-- At most $3 rows per route and type, read in the order of the index. The orders are locked, never their routes: claimers
-- that lock routes and then update orders deadlock as soon as orders have two routes. CASE hides from the planner how many
-- orders are PENDING: without statistics it takes them for few, and then reads and sorts the whole backlog.
found AS MATERIALIZED (
    SELECT typed.id, typed.priority
      FROM input
     CROSS JOIN mine
     CROSS JOIN LATERAL (
            SELECT work_orders.id, work_order_routes.priority
              FROM work_order_routes
              JOIN work_orders ON work_orders.id = work_order_routes.work_order_id
             WHERE work_order_routes.route = mine.route
               AND work_order_routes.work_type = input.work_type
               AND CASE work_orders.status
                   WHEN 'PENDING' THEN work_orders.start_by IS NULL OR work_orders.start_by >= $4
                                       OR work_orders.retry_count + work_orders.lost_count > 0
                   ELSE FALSE END
             ORDER BY work_order_routes.priority DESC, work_order_routes.work_order_id
             LIMIT $3
               FOR UPDATE OF work_orders SKIP LOCKED
           ) AS typed
     WHERE input.work_type IS NOT NULL
    UNION ALL
    SELECT any_type.id, any_type.priority
      FROM input
     CROSS JOIN mine
     CROSS JOIN LATERAL (
            SELECT work_orders.id, work_order_routes.priority
              FROM work_order_routes
              JOIN work_orders ON work_orders.id = work_order_routes.work_order_id
             WHERE work_order_routes.route = mine.route
               AND CASE work_orders.status
                   WHEN 'PENDING' THEN work_orders.start_by IS NULL OR work_orders.start_by >= $4
                                       OR work_orders.retry_count + work_orders.lost_count > 0
                   ELSE FALSE END
             ORDER BY work_order_routes.priority DESC, work_order_routes.work_order_id
             LIMIT $3
               FOR UPDATE OF work_orders SKIP LOCKED
           ) AS any_type
     WHERE input.work_type IS NULL
),
-- An order can be found on several routes.
taken AS MATERIALIZED (
    SELECT found.id
      FROM found
     GROUP BY found.id, found.priority
     ORDER BY found.priority DESC, found.id
     LIMIT $3
)
UPDATE work_orders
   SET status = 'CLAIMED',
       attempt = work_orders.attempt + 1,
       claimed_by = $2,
       claimed_at = $4,
       claim_instance_id = $6,
       lease_expires_at = $4 + LEAST(work_orders.claim_timeout_seconds, $5) * 1000000,
       updated_at = $4
  FROM taken
 WHERE work_orders.id = taken.id
   AND work_orders.status = 'PENDING'
RETURNING 
