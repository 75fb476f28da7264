//! Chromium and its driver on this machine.

use std::path::{Path, PathBuf};

const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const DRIVER: [&str; 2] = ["chromedriver", "chromium.chromedriver"];

/// Where Chromium and its driver are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    pub(crate) chromium: PathBuf,
    pub(crate) driver: PathBuf,
}

/// There is no Chromium or no driver for it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no Chromium with its driver on the PATH; on Debian: apt-get install chromium chromium-driver. \
     `cargo xtask test` does that where it may, and leaves the browser tests out with --no-browser"
)]
pub struct ProgramsMissing;

impl Programs {
    /// Looks for both on the `PATH`.
    pub fn find() -> Result<Programs, ProgramsMissing> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
        Programs::find_in(&directories)
    }

    fn find_in(directories: &[PathBuf]) -> Result<Programs, ProgramsMissing> {
        Ok(Programs {
            chromium: first_of(&CHROMIUM, directories)?,
            driver: first_of(&DRIVER, directories)?,
        })
    }
}

fn first_of(names: &[&str], directories: &[PathBuf]) -> Result<PathBuf, ProgramsMissing> {
    let candidates = names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)));
    candidates
        .into_iter()
        .find(|path| Path::is_file(path))
        .ok_or(ProgramsMissing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_without_its_driver_is_no_browser() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let directories = [directory.path().to_owned()];
        std::fs::write(directory.path().join("chromium"), "").expect("it can be written");
        assert_eq!(Programs::find_in(&directories), Err(ProgramsMissing));
        std::fs::write(directory.path().join("chromedriver"), "").expect("it can be written");
        assert!(Programs::find_in(&directories).is_ok());
    }
}
