//! What is measured. Each scenario has its own module, and each checks that its counts add up.

mod backlog;
mod create;
mod drain;
mod heartbeat;
mod idle_fleet;
mod latency;
mod lifecycles;
mod mixed;
mod soak;
mod traffic;

use std::str::FromStr;

use crate::run::Bench;
use crate::{BenchError, Outcome};

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Orders created one per call and in batches.
    Create,
    /// Whole lives of orders: by the contract's own calls, in batches, and one order per call.
    Drain,
    /// From the creation of an order to its claim by a parked agent, at a steady rate.
    Latency,
    /// What an order costs while many others wait, and what a list of them costs.
    Backlog,
    /// What agents cost that wait for work.
    IdleFleet,
    /// What it costs to renew leases and to give signs of life.
    Heartbeat,
    /// A steady rate with failures that are retried, and cancellations.
    Mixed,
    /// The same for long, with the sizes of the tables before and after.
    Soak,
}

impl Scenario {
    /// All of them, in the order in which they run.
    pub const ALL: [Scenario; 8] = [
        Scenario::Create,
        Scenario::Drain,
        Scenario::Latency,
        Scenario::Backlog,
        Scenario::IdleFleet,
        Scenario::Heartbeat,
        Scenario::Mixed,
        Scenario::Soak,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Create => "create",
            Scenario::Drain => "drain",
            Scenario::Latency => "latency",
            Scenario::Backlog => "backlog",
            Scenario::IdleFleet => "idle-fleet",
            Scenario::Heartbeat => "heartbeat",
            Scenario::Mixed => "mixed",
            Scenario::Soak => "soak",
        }
    }

    pub(crate) async fn run(self, bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
        match self {
            Scenario::Create => create::run(bench).await,
            Scenario::Drain => drain::run(bench).await,
            Scenario::Latency => latency::run(bench).await,
            Scenario::Backlog => backlog::run(bench).await,
            Scenario::IdleFleet => idle_fleet::run(bench).await,
            Scenario::Heartbeat => heartbeat::run(bench).await,
            Scenario::Mixed => mixed::run(bench).await,
            Scenario::Soak => soak::run(bench).await,
        }
    }
}

impl FromStr for Scenario {
    type Err = BenchError;

    fn from_str(text: &str) -> Result<Scenario, BenchError> {
        let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == text);
        found.ok_or_else(|| {
            let names: Vec<&str> = Scenario::ALL.into_iter().map(Scenario::name).collect();
            BenchError::UnknownScenario(text.to_owned(), names.join(", "))
        })
    }
}
