//! Schemathesis itself, in an environment of its own below `target`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::steps::{self, root, say};

/// Another version may check other things.
const VERSION: &str = "4.32.5";

/// The program, installed when it is not there.
pub(super) fn installed() -> anyhow::Result<PathBuf> {
    let environment = root().join("target/schemathesis");
    let program = environment.join("bin/schemathesis");
    if is_of_the_version(&program) {
        return Ok(program);
    }
    say(&format!(
        "installing Schemathesis {VERSION} in {}",
        environment.display()
    ));
    let mut create = Command::new("python3");
    create
        .args(["-m", "venv"])
        .arg(&environment)
        .stdout(Stdio::null());
    let created = steps::run(&mut create).context("there is no python3")?;
    ensure!(
        created.success(),
        "python3 has no venv (Debian: apt-get install python3-venv)"
    );
    let mut install = Command::new(environment.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]);
    install.arg(format!("schemathesis=={VERSION}"));
    let installed = steps::run(&mut install).context("the environment has no pip")?;
    ensure!(
        installed.success() && is_of_the_version(&program),
        "pip could not install Schemathesis {VERSION}"
    );
    Ok(program)
}

fn is_of_the_version(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(VERSION))
}
