//! The storage, on both databases.

mod agent_annotations;
mod agent_labels;
mod agents;
mod audit;
mod claims;
mod credentials;
mod generators;
mod idempotency_keys;
mod log;
mod migrations;
mod model;
mod output;
mod queue;
mod races;
mod renewals;
mod samples;
mod schema_parity;
mod statements;
mod sweeps;
mod transactions;
mod work_orders;
