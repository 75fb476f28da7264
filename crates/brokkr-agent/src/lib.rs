//! The agent: claim what it may, hold the lease, execute, report.
//!
//! [`Agent::run`] ties four tasks together: the *claimer* takes as much work as there are free slots, the *lease keeper* renews
//! everything that is held in one request and hears of cancellations and losses, one task for each attempt drives its
//! [executor](execute::Executor), and two senders bring output and endings to the broker until it has them. What must outlive
//! the process is in its state directory: endings that the broker may not know, and a directory for each command.

pub mod alive;
pub mod attempt;
mod availability;
mod backoff;
mod broker;
mod claim;
pub mod clock;
mod condition;
mod config;
pub mod document;
mod durable;
pub mod execute;
pub mod guard;
pub mod journal;
pub mod kube;
mod lease;
mod output;
pub mod policy;
mod probe;
mod report;
mod runtime;
pub mod schedule;
mod shutdown;
mod stop;
mod work;

pub use broker::CallError;
pub use config::AgentConfig;
pub use output::OutputSink;
pub use runtime::{Agent, AgentError};
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use stop::{StopHandle, StopReason, StopSignal};
