//! Processes that commands and their supervisors are, told by the directory that they work in.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process may start another one while it is being killed.
const ROUNDS_MAX: u32 = 20;

/// The words with which the agent starts a supervisor.
const SUPERVISOR: &[u8] = b"\0run-command\0";

/// The processes that run in the directory or have it among their arguments. This one is not counted.
pub(crate) fn under(directory: &Path) -> Vec<u32> {
    processes(|id| works_in(id, directory) || arguments_name(id, directory.as_os_str().as_bytes()))
}

/// The supervisors of commands whose directories lie here.
pub(crate) fn supervisors(directory: &Path) -> Vec<u32> {
    let name = directory.as_os_str().as_bytes();
    processes(|id| arguments_name(id, name) && arguments_name(id, SUPERVISOR))
}

/// Kills them all, until there is none.
pub(crate) fn kill_under(directory: &Path) {
    for _ in 0..ROUNDS_MAX {
        let found = under(directory);
        if found.is_empty() {
            return;
        }
        found.into_iter().for_each(kill_one);
    }
}

pub(crate) fn kill_one(id: u32) {
    if let Ok(id) = i32::try_from(id) {
        // It may have ended by itself in the meantime.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
}

fn processes(is_wanted: impl Fn(u32) -> bool) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let own = std::process::id();
    ids.filter(|id| *id != own && is_alive(*id) && is_wanted(*id))
        .collect()
}

/// One that was killed and not yet waited for is not.
fn is_alive(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map_or("", |(_, after)| after).trim_start();
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

fn works_in(id: u32, directory: &Path) -> bool {
    fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|found| found.starts_with(directory))
}

fn arguments_name(id: u32, name: &[u8]) -> bool {
    let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    arguments.windows(name.len()).any(|window| window == name)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_works_in_a_directory_is_found_and_killed_and_nothing_else() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sleeping = |directory: &Path| {
            Command::new("sleep")
                .arg("60")
                .current_dir(directory)
                .stdin(Stdio::null())
                .spawn()
                .unwrap()
        };
        let (mut stray, mut other) = (sleeping(here.path()), sleeping(there.path()));
        assert_eq!(under(&here.path().canonicalize().unwrap()), [stray.id()]);

        kill_under(&here.path().canonicalize().unwrap());
        assert!(!stray.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "the other one lives");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
