//! The broker: HTTP, use cases, storage and sweeps.

pub mod api;
pub mod app;
mod broker;
pub mod config;
pub mod console;
pub mod dal;
mod error_chain;
pub mod guards;
pub mod tasks;

pub use broker::{Broker, RunningBroker, StartError, Surroundings};
pub use config::BrokerConfig;
