//! The agent against a broker that says what a test wants it to say, over real HTTP and with real processes.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that finds something unexpected fails its test"
)]

mod adoption;
mod agent;
mod broker;
mod builds;
mod claims;
mod cluster;
mod commands;
mod doubles;
mod endings;
mod guards;
mod leases;
mod manifests;
mod openings;
mod output;
mod shutdown;
mod trouble;
