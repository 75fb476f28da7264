//! The agent against a broker that says what a test wants it to say, over real HTTP and with real processes.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that finds something unexpected fails its test"
)]

mod adoption;
mod agent;
mod broker;
mod claims;
mod commands;
mod endings;
mod leases;
mod output;
mod shutdown;
