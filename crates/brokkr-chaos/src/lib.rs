//! A campaign against real processes.
//!
//! A throwaway PostgreSQL, several brokers and several agents work through thousands of orders while they are killed, stopped
//! and cut off from each other at random. Every command writes to one file that it began and that it ended. At the end all is
//! healed, the queue runs empty, and `reconcile` compares what was accepted, what ran, and what the broker says.
//!
//! The faults and the orders follow from the seed; how they meet follows from the machine.

mod campaign;
mod collect;
mod dice;
mod evidence;
mod faults;
mod link;
mod orders;
mod plan;
mod process;
mod reconcile;
mod report;
mod service;
mod strays;
mod submit;
mod world;

pub use campaign::{Options, run};
pub use report::Report;
