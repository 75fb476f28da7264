//! The whole system in one process: real brokers' use cases and interface, real agents, and everything around them simulated.
//!
//! Time, the network, disks, work and users follow from a seed, so that whatever happens once can be seen again.
//! `docs/simulation.md` tells what is real, what goes wrong, and what must hold.

mod broker;
pub mod campaign;
mod check;
mod clock;
mod dice;
mod evidence;
mod executor;
mod host;
mod network;
mod observe;
mod plan;
mod record;
mod restoration;
mod script;
mod seat;
mod users;
mod world;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub use brokkr_broker::guards::Guard;

use broker::Database;
use dice::Dice;
use plan::Plan;

/// What came of one seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Every promise that was broken, in words.
    pub violations: Vec<String>,
    /// How many orders there were.
    pub orders: usize,
    /// How many attempts they took.
    pub attempts: usize,
    /// Everything that happened, a line each.
    pub story: Vec<String>,
}

/// Simulates one seed. Only the first simulation of a process is determined by its seed: tokio numbers its runtimes.
///
/// # Errors
/// When the simulation itself does not work.
pub fn simulate(seed: u64, without: Option<Guard>) -> anyhow::Result<Outcome> {
    if let Some(guard) = without {
        guard.take_away();
    }
    let dice = Dice::new(seed);
    let plan = Plan::of(&dice);
    let mut story = vec![format!(
        "seed {seed}: {} agents, {} orders",
        plan.seats.len(),
        plan.orders.len()
    )];
    let databases = setup()?.block_on(async {
        let empty = match plan.restoration {
            Some(_) => Some(Database::empty().await?),
            None => None,
        };
        anyhow::Ok((Database::open().await?, empty))
    })?;
    let directory = std::env::temp_dir().join(format!("brokkr-simulation-{}", std::process::id()));
    std::fs::create_dir_all(&directory).context("could not make a directory for the agents")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let simulated = runtime.block_on(world::simulate(plan, &dice, databases, &directory));
    // What hangs in it hangs for ever.
    runtime.shutdown_background();
    let _ = std::fs::remove_dir_all(&directory);
    let (record, evidence) = simulated?;
    story.extend(record.story());
    Ok(Outcome {
        seed,
        violations: check::violations(&record, &evidence),
        orders: evidence.orders.len(),
        attempts: evidence.attempts.values().map(Vec::len).sum(),
        story,
    })
}

/// Opening the database takes real time, which must not count.
fn setup() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
