//! Installing what the tests need, on a Debian machine where we may.

use std::process::{Command, Stdio};

use anyhow::{bail, ensure};
use brokkr_testkit_postgres::{Server, ServerMissing};

use crate::steps::{run, say};

/// Debian's package would start a server of its own on the default port; nobody asked for that.
const NO_SERVER_OF_ITS_OWN: &str = "
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/brokkr-tests.conf
";

/// Installs the PostgreSQL server.
pub(crate) fn postgres() -> anyhow::Result<()> {
    if !package("postgresql", NO_SERVER_OF_ITS_OWN)? {
        bail!(ServerMissing);
    }
    Server::find()?;
    Ok(())
}

/// Installs a package of Debian's, after some preparation. Answers false where we may not.
pub(crate) fn package(name: &str, preparation: &str) -> anyhow::Result<bool> {
    let Some(mut command) = as_root().filter(|_| succeeds("apt-get", &["--version"])) else {
        return Ok(false);
    };
    say(&format!("installing Debian's package {name}"));
    let script = format!(
        "set -eu
        {preparation}
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq -o DPkg::Lock::Timeout=300 update
        apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends {name}"
    );
    let status = run(command
        .args(["sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null()))?;
    ensure!(
        status.success(),
        "apt-get could not install {name}; its reason is above"
    );
    Ok(true)
}

/// A command that runs its arguments as root without asking for a password, if we may.
fn as_root() -> Option<Command> {
    if user_is_root() {
        return Some(Command::new("env"));
    }
    succeeds("sudo", &["-n", "true"]).then(|| {
        let mut sudo = Command::new("sudo");
        sudo.arg("-n");
        sudo
    })
}

fn user_is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// Whether a program can be run so.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
