//! What clients see of the server, through the client that the agent uses.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that finds something unexpected fails its test"
)]

mod access;
mod applies;
mod deletes;
mod discovery;
mod faults;
mod objects;
mod scene;
mod watches;
