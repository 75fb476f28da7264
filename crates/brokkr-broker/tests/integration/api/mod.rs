//! The HTTP interface, over real connections, on both databases.

mod agent_labels;
mod agents;
mod attempts;
mod audit;
mod auth;
pub(crate) mod call;
mod cancel;
mod claims;
mod coverage;
mod endings;
mod generators;
mod health;
mod idempotency;
mod nonsense;
mod openapi;
mod output;
mod paging;
mod paks;
mod reference_contract;
pub(crate) mod refusals;
mod renewals;
mod replicas;
mod requests;
mod sweeps;
mod texts;
mod work_order_log;
mod work_orders;
