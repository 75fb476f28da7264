//! The storage, on both databases.

mod agent_annotations;
mod agent_labels;
mod agents;
mod audit;
mod claims;
mod credentials;
mod fairness;
mod generators;
mod idempotency_keys;
mod lifecycle_statements;
mod log;
mod migrations;
mod model;
mod output;
mod plans;
mod queue;
mod races;
mod renewals;
mod retry_budgets;
mod samples;
mod schema_parity;
mod statements;
mod sweeps;
mod transactions;
mod vacuum;
mod work_orders;
