-- $1 wanted work types (one row with NULL for any), $2 agent, $3 how many, $4 now, $5 lease seconds, $6 instance.
WITH input AS MATERIALIZED ({input}),
mine AS MATERIALIZED (
    SELECT agent_routes.route
      FROM agent_routes
     WHERE agent_routes.agent_id = $2
       AND EXISTS (SELECT 1 FROM agents WHERE id = $2 AND status = 'ACTIVE' AND deleted_at IS NULL)
),
-- At most $3 rows per route and type, read in the order of the index. There is no LATERAL here; a subquery in IN may refer
-- to the tables before it just as well.
found AS MATERIALIZED (
    SELECT work_orders.id, work_orders.priority
      FROM input
     CROSS JOIN mine
     CROSS JOIN work_orders
     WHERE input.work_type IS NOT NULL
       AND work_orders.id IN (
            SELECT work_order_routes.work_order_id
              FROM work_order_routes
              JOIN work_orders AS waiting ON waiting.id = work_order_routes.work_order_id
             WHERE work_order_routes.route = mine.route
               AND work_order_routes.work_type = input.work_type
               AND waiting.status = 'PENDING'
               AND (waiting.start_by IS NULL OR waiting.start_by >= $4
                    OR waiting.retry_count + waiting.lost_count > 0)
             ORDER BY work_order_routes.priority DESC, work_order_routes.work_order_id
             LIMIT $3
           )
    UNION ALL
    SELECT work_orders.id, work_orders.priority
      FROM input
     CROSS JOIN mine
     CROSS JOIN work_orders
     WHERE input.work_type IS NULL
       AND work_orders.id IN (
            SELECT work_order_routes.work_order_id
              FROM work_order_routes
              JOIN work_orders AS waiting ON waiting.id = work_order_routes.work_order_id
             WHERE work_order_routes.route = mine.route
               AND waiting.status = 'PENDING'
               AND (waiting.start_by IS NULL OR waiting.start_by >= $4
                    OR waiting.retry_count + waiting.lost_count > 0)
             ORDER BY work_order_routes.priority DESC, work_order_routes.work_order_id
             LIMIT $3
           )
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
       lease_expires_at = $4 + MIN(work_orders.claim_timeout_seconds, $5) * 1000000,
       updated_at = $4
 WHERE work_orders.id IN (SELECT taken.id FROM taken)
   AND work_orders.status = 'PENDING'
RETURNING 
