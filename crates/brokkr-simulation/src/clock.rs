//! Simulated time: the broker's is the truth, and each host's may be set wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use brokkr_api::Time;
use brokkr_core::time::Timestamp;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// 2030-01-01T00:00:00Z, when every simulation begins.
const EPOCH_MICROS: i64 = 1_893_456_000_000_000;

/// The time since the simulation began. All clones show the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimulatedClock {
    began: Instant,
}

impl SimulatedClock {
    /// Begins now, within a runtime whose clock stands still.
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn micros(self) -> i64 {
        EPOCH_MICROS + i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX / 2)
    }

    /// What the broker's clock shows after so much time.
    pub(crate) fn at(after: Duration) -> Time {
        Time::from_micros(EPOCH_MICROS + i64::try_from(after.as_micros()).unwrap_or(i64::MAX / 2))
    }
}

/// How long after the beginning something happened that the broker tells of.
pub(crate) fn since_began(time: Time) -> Duration {
    Duration::from_micros(u64::try_from(time.as_micros() - EPOCH_MICROS).unwrap_or(0))
}

impl brokkr_broker::app::clock::Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros())
    }
}

/// A host's clock, which steps.
#[derive(Debug, Clone)]
pub(crate) struct HostClock {
    truth: SimulatedClock,
    wrong_by_millis: Arc<AtomicI64>,
}

impl HostClock {
    pub(crate) fn new(truth: SimulatedClock) -> Self {
        Self {
            truth,
            wrong_by_millis: Arc::default(),
        }
    }

    pub(crate) fn step(&self, millis: i64) {
        self.wrong_by_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

impl brokkr_agent::clock::Clock for HostClock {
    fn now(&self) -> DateTime<Utc> {
        let wrong_by = self.wrong_by_millis.load(Ordering::Relaxed) * 1_000;
        DateTime::from_timestamp_micros(self.truth.micros() + wrong_by).unwrap_or_default()
    }
}
