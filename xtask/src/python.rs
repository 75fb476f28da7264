//! Packages of PyPI, each in an environment of its own below `target`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::steps::{self, root, say};

/// The directory of the programs of an environment that has this version of a package, made when it is not there.
pub(crate) fn environment(package: &str, version: &str) -> anyhow::Result<PathBuf> {
    let environment = root().join("target").join(package);
    let programs = environment.join("bin");
    if has(&programs, package, version) {
        return Ok(programs);
    }
    say(&format!(
        "installing {package} {version} in {}",
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
    let mut install = Command::new(programs.join("pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]);
    install.arg(format!("{package}=={version}"));
    let installed = steps::run(&mut install).context("the environment has no pip")?;
    ensure!(
        installed.success() && has(&programs, package, version),
        "pip could not install {package} {version}"
    );
    Ok(programs)
}

fn has(programs: &Path, package: &str, version: &str) -> bool {
    let ask = format!("import importlib.metadata as m; print(m.version('{package}'))");
    let output = Command::new(programs.join("python")).args(["-c", &ask]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == version)
}
