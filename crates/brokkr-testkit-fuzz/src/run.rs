//! One run of one target.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::corpus::{Corpus, Seed};
use crate::failure::{keep, outcome, smallest};
use crate::mutate::Mutator;
use crate::random::Random;

/// The variable that says how many seconds a run takes. Without it: a fixed number of inputs.
pub const SECONDS: &str = "BROKKR_FUZZ_SECONDS";
/// The variable that says where the random numbers of a run begin. Without it: always at the same place.
pub const SEED: &str = "BROKKR_FUZZ_SEED";

/// The inputs of a run that no time was set for.
const INPUTS: usize = 400;
/// The longest that a target may take for one input, on a busy machine and without optimisation.
const INPUT_TIME_MAX: Duration = Duration::from_secs(10);
/// How much is shown of what a target said before it gave up.
const WHY_CHARACTERS_MAX: usize = 2_000;
/// The most inputs that are kept to make others of.
const POOL_MAX: usize = 4_000;

/// A fuzz target.
#[derive(Debug)]
pub struct Fuzz<'a> {
    name: &'static str,
    mutator: Mutator<'a>,
}

/// What a run did.
#[derive(Debug, Default)]
struct Tally {
    inputs: usize,
    outcomes: BTreeSet<String>,
    slowest: Duration,
}

impl<'a> Fuzz<'a> {
    /// A target with the words of its language. Its name is that of its corpus.
    #[must_use]
    pub fn new(name: &'static str, words: &'a [&'a str]) -> Self {
        let mutator = Mutator {
            words,
            bytes_max: 64 * 1024,
        };
        Self { name, mutator }
    }

    /// The same with another bound on the length of an input.
    #[must_use]
    pub fn up_to(mut self, bytes_max: usize) -> Self {
        self.mutator.bytes_max = bytes_max;
        self
    }

    /// Runs a target that takes texts. What is no UTF-8 is replaced.
    ///
    /// # Panics
    /// As [`Fuzz::run`].
    pub fn run_texts(self, check: impl Fn(&str) -> String) {
        self.run(|input| check(&String::from_utf8_lossy(input)));
    }

    /// Runs the target: the corpus first, then what is made of it. `check` panics when something does not hold, and answers
    /// what became of the input otherwise, in words that do not depend on every detail of it.
    ///
    /// # Panics
    /// When `check` does, or takes too long: with the input, made smaller, and where it is kept.
    pub fn run(self, check: impl Fn(&[u8]) -> String) {
        let seeds = Corpus::of(self.name).into_seeds();
        let (seed, seconds) = (variable(SEED).unwrap_or(1), variable(SECONDS));
        let (mut tally, mut random) = (Tally::default(), Random::new(seed));
        for Seed { name, bytes } in &seeds {
            self.try_one(&check, bytes, &mut tally, || name.clone());
        }
        let mut pool: Vec<Vec<u8>> = seeds.into_iter().map(|seed| seed.bytes).collect();
        let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        while end.map_or(tally.inputs < INPUTS, |end| Instant::now() < end) {
            let input = self.mutator.input(&pool, &mut random);
            let place = tally.inputs;
            let origin = || format!("input {place} of {SEED}={seed}");
            if self.try_one(&check, &input, &mut tally, origin) && pool.len() < POOL_MAX {
                pool.push(input);
            }
        }
        println!(
            "fuzz {}: {} inputs, {} outcomes, slowest {:?}, seed {seed}",
            self.name,
            tally.inputs,
            tally.outcomes.len(),
            tally.slowest
        );
    }

    /// Whether the outcome is a new one.
    fn try_one(
        &self,
        check: &dyn Fn(&[u8]) -> String,
        input: &[u8],
        tally: &mut Tally,
        origin: impl Fn() -> String,
    ) -> bool {
        let began = Instant::now();
        let told = outcome(check, input);
        let took = began.elapsed();
        tally.inputs += 1;
        tally.slowest = tally.slowest.max(took);
        match told {
            Ok(_) if took > INPUT_TIME_MAX => self.fail(input, &format!("took {took:?}"), &origin()),
            Ok(outcome) => tally.outcomes.insert(outcome),
            Err(panic) => self.fail(&smallest(check, input), &panic, &origin()),
        }
    }

    fn fail(&self, input: &[u8], why: &str, origin: &str) -> ! {
        let file = keep(self.name, input);
        let why: String = why.chars().take(WHY_CHARACTERS_MAX).collect();
        panic!(
            "fuzz {}: {why}\n{origin}\nmade smaller: {:?}\nkept in {}",
            self.name,
            String::from_utf8_lossy(input),
            file.display()
        );
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {text:?}, which is not a number")))
}
