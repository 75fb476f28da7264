//! The database's clock, so that all replicas agree on the time and hosts' clocks do not matter.
//!
//! Between measurements the time is carried on by this host's monotonic clock, which no administrator and no time service
//! sets. What is not known is bounded: half the round trip of the best sample, and how far two oscillators may drift apart.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use brokkr_core::time::Timestamp;

use super::App;
use super::clock::Clock;
use crate::dal::{DalError, Db};

const SAMPLES: usize = 5;
/// With more doubt than this the time is not known.
const UNCERTAINTY_MAX: Duration = Duration::from_secs(1);
/// Twice what computers' oscillators are allowed to be off by: one part in this many.
const DRIFT_ONE_PART_IN: u32 = 2_500;

/// Why the time could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The database did not tell it.
    #[error("could not ask the database for the time")]
    Storage(#[source] DalError),
    /// The database took too long to tell it.
    #[error("the database took {0:?} to tell the time, so it is not known to within a second")]
    TooSlow(Duration),
}

/// A clock that shows the database's time. It never goes back.
#[derive(Debug)]
pub struct DatabaseClock {
    reading: Mutex<Reading>,
    latest: AtomicI64,
}

/// What the database's clock showed at one moment of ours.
#[derive(Debug, Clone, Copy)]
struct Reading {
    micros: i64,
    taken: Instant,
    uncertainty: Duration,
}

impl Reading {
    fn micros_at(&self, moment: Instant) -> i64 {
        let since = moment.saturating_duration_since(self.taken).as_micros();
        self.micros
            .saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    fn uncertainty_at(&self, moment: Instant) -> Duration {
        self.uncertainty + moment.saturating_duration_since(self.taken) / DRIFT_ONE_PART_IN
    }
}

impl DatabaseClock {
    /// Takes the first reading.
    ///
    /// # Errors
    /// [`ClockError`]: a broker that does not know the time does not start.
    pub async fn start(db: &Db) -> Result<Self, ClockError> {
        Ok(Self {
            reading: Mutex::new(read(db).await?),
            latest: AtomicI64::new(0),
        })
    }

    /// Takes a new reading, which a broker does each minute, and answers how far from the truth the clock may be.
    ///
    /// # Errors
    /// [`ClockError`]: the clock runs on from the last reading, and is [known](Clock::known) for about 40 minutes.
    pub async fn measure(&self, db: &Db) -> Result<Duration, ClockError> {
        let reading = read(db).await?;
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = reading;
        Ok(reading.uncertainty)
    }

    fn reading(&self) -> Reading {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        let micros = self.reading().micros_at(Instant::now());
        let latest = self.latest.fetch_max(micros, Ordering::Relaxed);
        Timestamp::from_micros(micros.max(latest))
    }

    fn known(&self) -> bool {
        self.reading().uncertainty_at(Instant::now()) < UNCERTAINTY_MAX
    }
}

impl App {
    /// Takes a new reading of `clock`, and keeps how good it is for the metrics.
    ///
    /// # Errors
    /// As [`DatabaseClock::measure`].
    pub async fn read_clock(&self, clock: &DatabaseClock) -> Result<(), ClockError> {
        self.metrics.clock_uncertainty(clock.measure(&self.db).await?);
        Ok(())
    }
}

/// The sample with the smallest round trip tells most: the database read its clock somewhere within it.
async fn read(db: &Db) -> Result<Reading, ClockError> {
    let mut best: Option<Reading> = None;
    for _ in 0..SAMPLES {
        let sample = sample(db).await?;
        if best.is_none_or(|best| sample.uncertainty < best.uncertainty) {
            best = Some(sample);
        }
    }
    best.filter(|best| best.uncertainty < UNCERTAINTY_MAX)
        .ok_or_else(|| ClockError::TooSlow(best.map_or(Duration::MAX, |best| best.uncertainty * 2)))
}

async fn sample(db: &Db) -> Result<Reading, ClockError> {
    let asked = Instant::now();
    let micros = db.now_micros().await.map_err(ClockError::Storage)?;
    let uncertainty = asked.elapsed() / 2;
    Ok(Reading {
        micros,
        taken: asked + uncertainty,
        uncertainty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_grows_until_the_time_is_not_known() {
        let taken = Instant::now();
        let reading = Reading {
            micros: 0,
            taken,
            uncertainty: Duration::from_millis(10),
        };
        assert!(reading.uncertainty_at(taken + Duration::from_secs(60)) < UNCERTAINTY_MAX);
        assert!(reading.uncertainty_at(taken + Duration::from_secs(3_600)) > UNCERTAINTY_MAX);
    }

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        let reading = |micros| Reading {
            micros,
            taken: Instant::now(),
            uncertainty: Duration::ZERO,
        };
        let clock = DatabaseClock {
            reading: Mutex::new(reading(10_000_000)),
            latest: AtomicI64::new(0),
        };
        let before = clock.now();
        *clock.reading.lock().unwrap() = reading(5_000_000);
        assert!(clock.now() >= before);
    }
}
