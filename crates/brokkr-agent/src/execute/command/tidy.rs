//! When a command's directory may go.
//!
//! It goes when the broker has accepted the ending. What was refused, because the attempt had been taken back, stays for a
//! while if it tells an outcome: the order's next attempt may come here and take it over instead of running the work again.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};
use tracing::warn;
use uuid::Uuid;

use crate::attempt::AttemptId;
use crate::execute::command::CommandConfig;
use crate::execute::command::directory::{Condition, Directory, StopRequest};
use crate::stop::StopReason;

/// How long, beyond the grace, an earlier attempt may take to end before a new one is given up.
const ALONE_LIMIT: Duration = Duration::from_secs(10);
const ALONE_POLL: Duration = Duration::from_millis(50);

/// Whether the command ended, or will end, by itself or at its deadline. An end that the agent brought about, and one that
/// nobody saw, say nothing about the order.
pub(crate) fn tells_an_outcome(directory: &Directory) -> io::Result<bool> {
    Ok(match directory.condition()? {
        Condition::Running => directory.stop()?.is_none(),
        Condition::Ended(exit) => matches!(exit.stopped, None | Some(StopReason::Deadline)),
        Condition::Unknown => false,
    })
}

/// Removes what the ending makes superfluous: with an accepted one, everything of the order.
pub(crate) fn after_the_answer(root: &Path, id: AttemptId, accepted: bool) {
    for (found, directory) in all(root) {
        let superfluous = match accepted {
            true => found.order == id.order,
            false => found == id && !tells_an_outcome(&directory).unwrap_or(true),
        };
        if superfluous && !matches!(directory.condition(), Ok(Condition::Running)) {
            remove(&directory);
        }
    }
}

/// Stops what runs for an order that the agent does not hold, and removes what has been kept for long enough.
pub(crate) fn everything(config: &CommandConfig, held: &BTreeSet<Uuid>, now: DateTime<Utc>) {
    for (id, directory) in all(&config.state_dir) {
        if held.contains(&id.order) {
            continue;
        }
        match directory.condition() {
            Ok(Condition::Running) => stop(&directory, StopReason::LeaseLost, config.grace),
            Ok(Condition::Unknown) => kill_what_is_left(&directory),
            Ok(Condition::Ended(_)) => {}
            Err(error) => {
                warn!(path = %directory.path().display(), %error, "could not read what is known of a command")
            }
        }
        if !matches!(directory.condition(), Ok(Condition::Running))
            && older_than(&directory, config.retention, now)
        {
            remove(&directory);
        }
    }
}

/// Waits until no other attempt at the order runs here any more. Says whether that came about.
pub(crate) async fn until_alone(root: &Path, id: AttemptId, grace: Duration) -> bool {
    let limit = Instant::now() + grace + ALONE_LIMIT;
    loop {
        let others = all(root)
            .into_iter()
            .filter(|(other, _)| other.order == id.order && *other != id);
        let mut alone = true;
        for (_, directory) in others {
            match directory.condition() {
                Ok(Condition::Running) => {
                    stop(&directory, StopReason::LeaseLost, grace);
                    alone = false;
                }
                Ok(Condition::Unknown) => kill_what_is_left(&directory),
                Ok(Condition::Ended(_)) | Err(_) => {}
            }
        }
        if alone || limit <= Instant::now() {
            return alone;
        }
        sleep(ALONE_POLL).await;
    }
}

/// Asks the supervisor to stop its command. It is safe to ask again.
pub(crate) fn stop(directory: &Directory, reason: StopReason, grace: Duration) {
    let request = StopRequest { reason, grace };
    let asked = match directory.stop() {
        Ok(Some(_)) => Ok(()),
        _ => directory.record_stop(&request),
    };
    let told = asked.and_then(|()| tell_the_supervisor(directory));
    if let Err(error) = told {
        warn!(path = %directory.path().display(), %error, "could not tell a command to stop");
    }
}

fn tell_the_supervisor(directory: &Directory) -> io::Result<()> {
    if let (Condition::Running, Some(supervisor)) = (directory.condition()?, directory.supervisor()?) {
        supervisor.signal_leader(Signal::SIGTERM);
    }
    Ok(())
}

/// Ends what a supervisor left behind when it was killed, so that it does not run beside a later attempt.
pub(crate) fn kill_what_is_left(directory: &Directory) {
    if let Ok(Some(group)) = directory.started()
        && group.is_the_recorded_one()
    {
        group.signal(Signal::SIGKILL);
    }
}

fn all(root: &Path) -> Vec<(AttemptId, Directory)> {
    Directory::all(root).unwrap_or_else(|error| {
        warn!(path = %root.display(), %error, "could not list the directories of commands");
        Vec::new()
    })
}

fn older_than(directory: &Directory, age: Duration, now: DateTime<Utc>) -> bool {
    directory
        .changed_at()
        .is_ok_and(|changed| (now - changed).to_std().is_ok_and(|passed| passed > age))
}

fn remove(directory: &Directory) {
    if let Err(error) = directory.remove() {
        warn!(path = %directory.path().display(), %error, "could not remove the directory of a command");
    }
}
