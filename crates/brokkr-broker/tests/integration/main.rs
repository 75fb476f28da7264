//! The broker's parts together with a real database. One noun, one file, at every level.

#![expect(
    clippy::unwrap_used,
    reason = "a test has no better answer to an error, also in its helpers"
)]

mod api;
mod broker;
mod console;
mod dal;
mod model;
mod tasks;
mod trouble;
