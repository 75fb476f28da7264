//! Process groups, and telling one process from a later one that was given the same number.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The process group of a command. Its number is that of the process that leads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    leader: i32,
    /// When the leader started, in the kernel's ticks since boot; nothing where `/proc` is missing.
    started: Option<u64>,
    /// Numbers and ticks mean nothing after a reboot.
    boot: Option<String>,
}

impl Group {
    /// The group that a process leads which has just been started.
    pub(crate) fn led_by(process: u32) -> Self {
        let leader = process as i32;
        Self {
            leader,
            started: start_ticks(leader),
            boot: boot_id(),
        }
    }

    /// Sends the signal to every process of the group, which is known to be the one that was started.
    pub(crate) fn signal(&self, signal: Signal) {
        // ESRCH says that all are gone already, which is what every signal here is meant to bring about.
        let _ = signal::killpg(Pid::from_raw(self.leader), signal);
    }

    /// Sends the signal to the leader alone, unless another process has its number by now.
    pub(crate) fn signal_leader(&self, signal: Signal) {
        if self.started.is_some() && start_ticks(self.leader) == self.started && boot_id() == self.boot {
            let _ = signal::kill(Pid::from_raw(self.leader), signal);
        }
    }

    /// Whether any process of the group is left.
    pub(crate) fn exists(&self) -> bool {
        signal::killpg(Pid::from_raw(self.leader), None) != Err(Errno::ESRCH)
    }

    /// Whether the group can still be the one that was recorded, whenever that was.
    pub(crate) fn is_the_recorded_one(&self) -> bool {
        if self.started.is_none() || self.boot.is_none() || boot_id() != self.boot {
            return false;
        }
        // While a group has members its number is not given away, so without a leader it is ours or empty.
        start_ticks(self.leader).is_none_or(|now| Some(now) == self.started)
    }
}

/// The name of a signal such as `SIGKILL`, where it has one.
pub(crate) fn signal_name(number: i32) -> Option<&'static str> {
    Signal::try_from(number).ok().map(Signal::as_str)
}

fn start_ticks(process: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name in parentheses and may contain anything, so fields are counted behind it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .map(|id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_lives_is_recognised_and_another_is_not() {
        let own = Group::led_by(std::process::id());
        assert!(own.is_the_recorded_one());
        let earlier = Group {
            started: own.started.map(|ticks| ticks - 1),
            ..own.clone()
        };
        assert!(!earlier.is_the_recorded_one());
        let before_the_reboot = Group {
            boot: Some("another".to_owned()),
            ..own
        };
        assert!(!before_the_reboot.is_the_recorded_one());
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(9), Some("SIGKILL"));
        assert_eq!(signal_name(4000), None);
    }
}
