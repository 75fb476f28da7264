//! Simulations as the program runs them: each seed in a process of its own.

mod guards;
mod seeds;

use std::path::Path;

use brokkr_simulation::Outcome;
use brokkr_simulation::campaign::{Campaign, simulate};

/// The program of this crate.
const PROGRAM: &str = env!("CARGO_BIN_EXE_brokkr-simulation");

fn one(seed: u64) -> Outcome {
    simulate(Path::new(PROGRAM), seed, None).expect("the simulation works")
}

fn many(seeds: u64, without: Option<&str>) -> Campaign {
    Campaign {
        program: PROGRAM.into(),
        first: 1,
        seeds,
        without: without.map(str::to_owned),
        time_max: None,
    }
}
