//! The binary as its users have it: real processes, real files, real databases.

mod bench;
mod browser;
mod cli_help;
mod config;
mod deploy;
mod dev;
mod events;
mod explain;
mod journey;
mod kubernetes;
mod mounts;
mod restore;
mod scenarios;
mod standard_webhooks;
mod submit;
mod telemetry;
mod trouble;
mod webhooks;

mod world;
