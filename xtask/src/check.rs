//! `cargo xtask check`.

use std::process::{Command, ExitCode};

use crate::steps::{self, cargo, say};

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let format = cargo(&["fmt", "--all", "--check"]);
    let lints = cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]);
    let mut documentation = cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ]);
    documentation.env("RUSTDOCFLAGS", "--deny warnings");
    let house_rules = cargo(&[
        "test",
        "--quiet",
        "--package",
        "xtask",
        "--test",
        "house",
        "--locked",
    ]);
    run_all(vec![
        ("format (cargo fmt --all mends it)", format),
        ("lints", lints),
        ("documentation", documentation),
        ("house rules", house_rules),
    ])
}

/// Runs every step, even after one has failed, and names those that failed at the end.
fn run_all(steps: Vec<(&'static str, Command)>) -> anyhow::Result<ExitCode> {
    let mut failed = Vec::new();
    for (name, mut command) in steps {
        say(name);
        if !steps::run(&mut command)?.success() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        say("all checks passed");
        Ok(ExitCode::SUCCESS)
    } else {
        say(&format!("failed: {}", failed.join(", ")));
        Ok(ExitCode::FAILURE)
    }
}
