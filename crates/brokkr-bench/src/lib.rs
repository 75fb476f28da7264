//! Measures a broker as its users have it: a process of its own over a database with its default durability.
//!
//! A [`Scenario`] drives a database and brokers, fresh for each measurement, from this process and yields [`Outcome`]s; [`limits`] drives
//! the same database by plain SQL in the same run, so that a result is a ratio and not a property of the machine. A [`Report`] holds both.

mod broker;
mod census;
mod compare;
mod crew;
mod error;
mod fleet;
mod options;
mod orders;
mod process;
mod raw;
mod recorder;
mod report;
mod run;
mod scenarios;
mod server;
mod table;
mod target;
mod wire;

pub use compare::compare;
pub use error::BenchError;
pub use options::{DatabaseChoice, Options};
pub use raw::{Limit, Plan, RawError, limits};
pub use report::{Latency, Machine, Outcome, Report, Usage};
pub use run::run;
pub use scenarios::Scenario;
pub use table::{Format, render};
pub use wire::WireError;
