//! Chromium and its driver, with which the tests of the console look at its pages.

use std::process::{Command, Stdio};

use anyhow::bail;

use crate::install;
use crate::steps::say;

/// The tests that need it.
const TESTS: &str = "browser::";
/// Those of them that need axe-core as well, which npm brings.
const TESTS_WITH_AXE: &str = "accessibility";
const PACKAGES: &str = "chromium chromium-driver";

/// What `cargo test` is told to leave out: nothing, once there is a browser, or when its absence is not accepted.
pub(crate) fn left_out(is_unwanted: bool) -> anyhow::Result<&'static [&'static str]> {
    if is_unwanted {
        return Ok(&["--skip", TESTS]);
    }
    if !is_installed() {
        install::package(PACKAGES, "")?;
    }
    if !is_installed() {
        bail!(
            "the tests of the console look at its pages with Chromium and chromedriver, which are not on the PATH; \
             install them (Debian: apt-get install {PACKAGES}), or leave these tests out with --no-browser"
        );
    }
    if !answers(&["npm"]) {
        say(
            "there is no npm to bring axe-core: the accessibility of pages is left out (Debian: apt-get install npm)",
        );
        return Ok(&["--skip", TESTS_WITH_AXE]);
    }
    Ok(&[])
}

fn is_installed() -> bool {
    answers(&["chromium", "chromium-browser", "google-chrome", "chrome"])
        && answers(&["chromedriver", "chromium.chromedriver"])
}

fn answers(names: &[&str]) -> bool {
    names.iter().any(|name| {
        Command::new(name)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}
