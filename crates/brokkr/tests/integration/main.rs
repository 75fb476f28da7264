//! The binary as its users have it: real processes, real files, real databases.

mod cli_help;
mod config;
mod dev;
mod journey;
mod submit;
mod telemetry;
mod world;
