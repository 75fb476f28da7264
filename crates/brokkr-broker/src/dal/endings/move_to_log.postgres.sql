-- $1 the orders, each with the state and the attempt that it must have, $2 now.
WITH input AS MATERIALIZED ({input}),
ended AS (
    DELETE FROM work_orders
     USING input
     WHERE work_orders.id = input.id
       AND work_orders.status = input.status
       AND work_orders.attempt = input.attempt
    -- With what was told of it, so that nothing has to be joined again.
    RETURNING work_orders.*, input.ending, input.result_message, input.class, input.exit_code, input.result, input.attempt_ending,
              input.outcome_hash
),
attempts AS (
    INSERT INTO work_order_attempts (work_order_id, attempt, agent_id, instance_id, started_at, ended_at, ending, message, class,
                                     exit_code, result, outcome_hash)
    SELECT ended.id, ended.attempt, ended.claimed_by, ended.claim_instance_id, ended.claimed_at, $2, ended.attempt_ending,
           ended.result_message, ended.class, ended.exit_code, ended.result, ended.outcome_hash
      FROM ended
     WHERE ended.claimed_by IS NOT NULL
)
INSERT INTO work_order_log (id, created_at, completed_at, work_type, yaml_content, priority, delivery, claim_timeout_seconds,
                            max_retries, retries_attempted, lost_count, backoff_seconds, last_error, last_error_at, attempt,
                            claimed_by, claimed_at, ending, success, result_message, class, exit_code, result,
                            cancel_requested_at, cancel_reason, deadline_seconds, start_by, run_at, retry_on, metadata,
                            targeting, retry_of, submitted_by, traceparent, infrastructure_retries_max,
                            infrastructure_retries_attempted, backoff_jitter)
    SELECT ended.id, ended.created_at, $2, ended.work_type, ended.yaml_content, ended.priority, ended.delivery,
           ended.claim_timeout_seconds, ended.max_retries, ended.retry_count, ended.lost_count, ended.backoff_seconds,
           ended.last_error, ended.last_error_at, ended.attempt, ended.claimed_by, ended.claimed_at, ended.ending,
           ended.ending = 'succeeded', ended.result_message, ended.class, ended.exit_code, ended.result,
           ended.cancel_requested_at, ended.cancel_reason, ended.deadline_seconds, ended.start_by, ended.run_at,
           ended.retry_on, ended.metadata, ended.targeting, ended.retry_of, ended.submitted_by, ended.traceparent,
           ended.infrastructure_retries_max, ended.infrastructure_retry_count, ended.backoff_jitter
      FROM ended
RETURNING *
