//! `kubectl`, with which the tests of `deploy/` render kustomizations.

use std::process::Command;

use anyhow::bail;

use crate::install;

/// The first minor version of 1.x whose kustomize reads our kustomizations.
const MINOR_MIN: u32 = 21;
/// The tests that need it.
const TESTS: &str = "deploy::";

/// What `cargo test` is told to leave out: nothing, once there is a `kubectl` that will do, or when its absence is not accepted.
pub(crate) fn left_out(is_unwanted: bool) -> anyhow::Result<&'static [&'static str]> {
    if is_unwanted {
        return Ok(&["--skip", TESTS]);
    }
    if minor_version().is_none() {
        install::package("kubernetes-client", "")?;
    }
    match minor_version() {
        Some(minor) if minor >= MINOR_MIN => Ok(&[]),
        found => bail!(
            "the tests of deploy/ render kustomizations with kubectl 1.{MINOR_MIN} or newer, and {}; \
             install it (https://kubernetes.io/docs/tasks/tools), or leave these tests out with --no-kubectl",
            found.map_or("there is none".to_owned(), |minor| format!(
                "this one is 1.{minor}"
            )),
        ),
    }
}

/// The minor version of the installed `kubectl`, if there is one.
fn minor_version() -> Option<u32> {
    let output = Command::new("kubectl")
        .args(["version", "--client", "--output", "json"])
        .output()
        .ok()?;
    minor_of(&String::from_utf8_lossy(&output.stdout))
}

/// Builds of cloud providers write `32+`.
fn minor_of(version: &str) -> Option<u32> {
    let (_, after) = version.split_once("\"minor\"")?;
    let digits = after.trim_start_matches([':', ' ', '"']);
    let end = digits.find(|letter: char| !letter.is_ascii_digit())?;
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::minor_of;

    #[test]
    fn the_minor_version_is_read_from_what_kubectl_prints() {
        let printed = "{\n  \"clientVersion\": {\n    \"major\": \"1\",\n    \"minor\": \"32+\",\n    \"gitVersion\": \"v1.32.4\"\n  }\n}\n";
        assert_eq!(minor_of(printed), Some(32));
        assert_eq!(minor_of("kubectl: command not found"), None);
    }
}
