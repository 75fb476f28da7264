//! The seeds that are kept in the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// A seed, and the file that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seed {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// The seeds of one target.
#[derive(Debug)]
pub struct Corpus(Vec<Seed>);

impl Corpus {
    /// Reads the seeds of a target, in the order of their names.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn of(target: &str) -> Self {
        let directory = root().join("fuzz/corpus").join(target);
        let entries = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("no corpus in {}: {error}", directory.display()));
        let mut seeds: Vec<Seed> = entries.flatten().map(|entry| seed(&entry.path())).collect();
        assert!(!seeds.is_empty(), "no seed in {}", directory.display());
        seeds.sort_by(|one, other| one.name.cmp(&other.name));
        Self(seeds)
    }

    pub(crate) fn into_seeds(self) -> Vec<Seed> {
        self.0
    }
}

fn seed(path: &Path) -> Seed {
    Seed {
        name: path.display().to_string(),
        bytes: fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    }
}

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
