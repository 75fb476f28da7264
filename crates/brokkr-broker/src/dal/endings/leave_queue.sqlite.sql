-- $1 as where the orders are logged.
WITH input AS MATERIALIZED ({input})
DELETE FROM work_orders WHERE (id, status, attempt) IN (SELECT id, status, attempt FROM input)
