//! A sign of life on disk, for those who look after the process: written whenever the agent has spoken to the broker, or tried to.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokkr_api::Time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tracing::warn;

use crate::clock::Clock;
use crate::durable;

/// How often an agent that waits gives a sign.
const BEAT: Duration = Duration::from_secs(20);

/// The longest that a working agent leaves its sign as it is: a heartbeat, the longest renewal and the longest wait after one
/// that failed, and as much again.
pub const SILENCE_MAX: Duration = Duration::from_secs(90);

/// What the agent last wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct SignOfLife {
    /// When.
    pub at: DateTime<Utc>,
    /// When the broker last answered; nothing while it never has.
    pub broker_answered_at: Option<DateTime<Utc>>,
    /// What the broker was told: `running`, `draining`, or why nothing is claimed.
    pub state: String,
}

/// The same as it is on disk.
#[derive(Serialize, Deserialize)]
struct Written {
    at: Time,
    broker_answered_at: Option<Time>,
    state: String,
}

impl From<SignOfLife> for Written {
    fn from(sign: SignOfLife) -> Self {
        Self {
            at: sign.at.into(),
            broker_answered_at: sign.broker_answered_at.map(Time::from),
            state: sign.state,
        }
    }
}

impl From<Written> for SignOfLife {
    fn from(written: Written) -> Self {
        Self {
            at: written.at.into(),
            broker_answered_at: written.broker_answered_at.map(DateTime::from),
            state: written.state,
        }
    }
}

impl SignOfLife {
    /// Whether the agent works, as far as its sign tells. An agent that cannot reach its broker does.
    pub fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        (now - self.at).to_std().is_ok_and(|age| age <= SILENCE_MAX) || now < self.at
    }
}

/// The sign in a state directory; nothing when no agent has worked there yet.
///
/// # Errors
/// When it cannot be read, or is not one.
pub fn read(state_dir: &Path) -> io::Result<Option<SignOfLife>> {
    let Some(bytes) = durable::read(&path(state_dir))? else {
        return Ok(None);
    };
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Writes the sign. It tells about this boot only, so it need not survive a power cut.
pub(crate) fn write(state_dir: &Path, sign: &SignOfLife) -> io::Result<()> {
    durable::write_for_this_boot(&path(state_dir), &serde_json::to_vec(sign)?)
}

/// Gives signs of life.
#[derive(Clone)]
pub(crate) struct Pulse(Arc<Heart>);

struct Heart {
    state_dir: PathBuf,
    clock: Arc<dyn Clock>,
    broker_answered_at: Mutex<Option<DateTime<Utc>>>,
    /// Whether the last sign could not be written, so that this is told once.
    troubled: AtomicBool,
}

impl Pulse {
    pub(crate) fn new(state_dir: &Path, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Heart {
            state_dir: state_dir.to_owned(),
            clock,
            broker_answered_at: Mutex::default(),
            troubled: AtomicBool::new(false),
        }))
    }

    /// One sign.
    pub(crate) fn beat(&self, state: &str, broker_answered: bool) {
        let heart = &self.0;
        let at = heart.clock.now();
        let broker_answered_at = {
            let mut answered_at = heart
                .broker_answered_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if broker_answered {
                *answered_at = Some(at);
            }
            *answered_at
        };
        let sign = SignOfLife {
            at,
            broker_answered_at,
            state: state.to_owned(),
        };
        match write(&heart.state_dir, &sign) {
            Ok(()) => heart.troubled.store(false, Ordering::Relaxed),
            Err(error) if heart.troubled.swap(true, Ordering::Relaxed) => drop(error),
            Err(error) => warn!(%error, "could not write the sign of life, the agent may be taken for dead"),
        }
    }

    /// Signs until `work` is done.
    pub(crate) async fn beat_while<T>(&self, state: &str, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            self.beat(state, false);
            tokio::select! {
                done = &mut work => return done,
                () = sleep(BEAT) => {}
            }
        }
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("alive.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn sign() -> SignOfLife {
        SignOfLife {
            at: at(1000),
            broker_answered_at: None,
            state: "running".to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_read_back_and_before_that_there_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), None);
        write(directory.path(), &sign()).unwrap();
        assert_eq!(read(directory.path()).unwrap(), Some(sign()));
    }

    #[test]
    fn a_sign_is_fresh_until_the_longest_silence_has_passed_and_a_clock_set_back_is_no_death() {
        assert!(sign().is_fresh(at(1090)));
        assert!(!sign().is_fresh(at(1091)));
        assert!(sign().is_fresh(at(900)));
    }
}
