//! Fuzz targets as tests, on any toolchain.
//!
//! A target is a test that says what must hold for every input. [`Fuzz::run`] gives it the seeds of its corpus
//! (`fuzz/corpus/<target>`), then inputs that are made of them by mutation. The target answers with an outcome in a few words;
//! an input whose outcome is new becomes a seed for the rest of the run, which leads on to places that no seed reached.
//!
//! Without further words a run is short and always the same, so that it can be one of the normal tests. `cargo xtask fuzz` sets
//! [`SECONDS`] and [`SEED`] for longer ones.

mod corpus;
mod failure;
mod mutate;
mod random;
mod run;

pub use corpus::Corpus;
pub use run::{Fuzz, SECONDS, SEED};

/// A text that stands for a secret in seeds and dictionaries. It must not come back in an error.
pub const SECRET: &str = "sesame";
