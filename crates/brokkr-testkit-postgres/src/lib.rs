//! A throwaway PostgreSQL cluster for tests and measurements.
//!
//! The cluster is made, started and taken away by one shell script, which outlives its owner for just as long as that takes:
//! it waits for the end of its standard input, and that comes when the owner drops the cluster, exits, panics or is killed.
//! So there is nothing to clean up by hand, whatever happens to a test.
//!
//! PostgreSQL refuses to run as root. Started by root, the cluster runs as `postgres`, or as `nobody` where that does not exist.

mod account;
mod cluster;
mod server;

pub use cluster::{Cluster, ClusterError, Durability};
pub use server::{Server, ServerMissing};
