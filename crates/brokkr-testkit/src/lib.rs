//! Test databases, brokers, clocks and builders. Development only.
//!
//! Everything here panics with a clear sentence when it cannot do its work: a test has no other use for such an error.

pub mod broker;
pub mod clock;
pub mod db;
pub mod random;

mod postgres;

pub use brokkr_testkit_postgres::{Cluster, Durability};

pub use broker::{Answer, LEASE, TestAgent, TestBroker, TestGenerator, TestViewer, WorkOrderBuilder};
pub use clock::FakeClock;
pub use db::{Backend, TestDb};
pub use random::SeededRandom;
