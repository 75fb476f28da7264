-- $1 and $2 as where the orders are logged.
WITH input AS MATERIALIZED ({input})
INSERT INTO work_order_attempts (work_order_id, attempt, agent_id, instance_id, started_at, ended_at, ending, message, class,
                                 exit_code, result, outcome_hash)
    SELECT ended.id, ended.attempt, ended.claimed_by, ended.claim_instance_id, ended.claimed_at, $2, input.attempt_ending,
           input.result_message, input.class, input.exit_code, input.result, input.outcome_hash
      FROM input
      JOIN work_orders AS ended ON ended.id = input.id
                               AND ended.status = input.status
                               AND ended.attempt = input.attempt
     WHERE ended.claimed_by IS NOT NULL
