//! HTTP words: what is said on the wire, turned into use cases and back.
//!
//! A handler's arguments say who may call and what was sent; its body is one use case. Errors become a [`Problem`] here and
//! nowhere else.

mod authenticate;
mod docs;
mod extract;
mod middleware;
mod on_wire;
pub mod openapi;
mod paging;
pub mod problem;
mod retries;
mod router;
mod state;
mod warnings;

mod agent_annotations;
mod agent_labels;
mod agent_report;
mod agents;
mod attempts;
mod auth;
mod cancellations;
mod claims;
mod endings;
mod events;
mod explain;
mod generators;
mod health;
mod output;
mod paks;
mod renewals;
mod webhook_deliveries;
mod webhooks;
mod work_order_log;
mod work_orders;

pub(crate) use agents::{agent_changes, new_agent};
pub(crate) use generators::{generator_changes, new_generator};
pub use problem::{Code, Problem};
pub use router::router;
pub use state::{AppState, LinkTrace};
pub(crate) use webhook_deliveries::replay_range;
pub(crate) use webhooks::{new_webhook, overlap, webhook_changes};
pub(crate) use work_orders::{submission, targeting};
