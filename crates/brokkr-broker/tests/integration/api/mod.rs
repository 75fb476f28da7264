//! The HTTP interface, over real connections, on both databases.

mod agents;
mod auth;
mod call;
mod coverage;
mod generators;
mod health;
mod openapi;
mod paks;
mod requests;
