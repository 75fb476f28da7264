//! `cargo xtask simulate`.

use std::process::ExitCode;

use crate::steps::{self, cargo, exit_code};

/// What `cargo xtask simulate` is told.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true, id = "what")]
pub(crate) struct Arguments {
    /// How many seeds. It ends with the first one that breaks a promise, and tells its story.
    #[arg(long, group = "what")]
    seeds: Option<u64>,
    /// The first seed; without --seeds the only one, and its story is told whatever comes of it.
    #[arg(long, group = "what")]
    seed: Option<u64>,
    /// Takes a guard away from the broker: attempt-of-ending, status-of-ending, lease-of-sweep or one-transaction.
    #[arg(long, value_name = "GUARD")]
    without: Option<String>,
    /// Builds it optimised.
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut command = cargo(&["run", "--quiet", "--locked", "--package", "brokkr-simulation"]);
    if arguments.release {
        command.arg("--release");
    }
    command.arg("--").args(words(arguments));
    Ok(exit_code(steps::run(&mut command)?))
}

fn words(arguments: &Arguments) -> Vec<String> {
    let Arguments {
        seeds, seed, without, ..
    } = arguments;
    let mut words = vec![if seeds.is_some() { "many" } else { "one" }.to_owned()];
    let values = [
        ("--seeds", seeds.map(|seeds| seeds.to_string())),
        ("--seed", seed.map(|seed| seed.to_string())),
        ("--without", without.clone()),
    ];
    for (name, value) in values {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(seeds: Option<u64>, seed: Option<u64>) -> String {
        let arguments = Arguments {
            seeds,
            seed,
            without: None,
            release: false,
        };
        words(&arguments).join(" ")
    }

    #[test]
    fn a_seed_alone_is_told_and_a_number_of_seeds_is_gone_through() {
        assert_eq!(words_of(None, Some(7)), "one --seed 7");
        assert_eq!(words_of(Some(9), None), "many --seeds 9");
        assert_eq!(words_of(Some(9), Some(7)), "many --seeds 9 --seed 7");
    }
}
