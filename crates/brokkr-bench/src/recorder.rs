//! What callers report while a scenario runs, and the row that comes of it.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::{CreationError, Histogram};

use crate::target::{Reading, Target};
use crate::{BenchError, Latency, Outcome};

/// Callers give up after so many failures: the broker is gone, or answers everything with an error.
const ERRORS_MAX: u64 = 1_000;
/// The longest latency that is told apart.
const HOUR_MICROS: u64 = 3_600_000_000;
/// Three digits are kept of a latency.
const DIGITS: u8 = 3;

/// Counts what callers do. They share it.
#[derive(Debug)]
pub(crate) struct Recorder(Mutex<Tally>);

#[derive(Debug)]
struct Tally {
    /// Microseconds.
    histogram: Histogram<u64>,
    operations: u64,
    errors: u64,
    contention: u64,
    first_error: Option<String>,
}

impl Recorder {
    pub(crate) fn new() -> Result<Arc<Recorder>, CreationError> {
        Ok(Arc::new(Recorder(Mutex::new(Tally {
            histogram: histogram()?,
            operations: 0,
            errors: 0,
            contention: 0,
            first_error: None,
        }))))
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call took from then until now.
    pub(crate) fn timed(&self, begun: Instant) {
        self.took(begun.elapsed());
    }

    pub(crate) fn took(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.tally().histogram.saturating_record(micros.max(1));
    }

    pub(crate) fn done(&self, operations: u64) {
        self.tally().operations += operations;
    }

    pub(crate) fn contention(&self) {
        self.tally().contention += 1;
    }

    pub(crate) fn error(&self, error: &(impl Display + ?Sized)) {
        let mut tally = self.tally();
        tally.errors += 1;
        if tally.first_error.is_none() {
            tally.first_error = Some(error.to_string());
        }
    }

    pub(crate) fn operations(&self) -> u64 {
        self.tally().operations
    }

    /// Whether trying on makes no sense.
    pub(crate) fn hopeless(&self) -> bool {
        self.tally().errors >= ERRORS_MAX
    }
}

fn histogram() -> Result<Histogram<u64>, CreationError> {
    Histogram::new_with_bounds(1, HOUR_MICROS, DIGITS)
}

/// A measurement that has begun.
#[derive(Debug)]
pub(crate) struct Measure {
    recorder: Arc<Recorder>,
    before: Reading,
    begun: Instant,
}

impl Measure {
    pub(crate) async fn begin(target: &Target<'_>) -> Result<Measure, BenchError> {
        Measure::begin_with(target, Recorder::new()?).await
    }

    /// The same, for callers that have begun already.
    pub(crate) async fn begin_with(
        target: &Target<'_>,
        recorder: Arc<Recorder>,
    ) -> Result<Measure, BenchError> {
        Ok(Measure {
            recorder,
            before: target.reading().await?,
            begun: Instant::now(),
        })
    }

    pub(crate) fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder)
    }

    /// Ends it now. The row has neither names nor a limit yet.
    pub(crate) async fn end(self, target: &Target<'_>) -> Result<Outcome, BenchError> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let usage = target.reading().await?.since(&self.before);
        let tally = self.recorder.tally();
        let mut outcome = Outcome {
            operations: tally.operations,
            seconds,
            latency: latency(&tally.histogram),
            errors: tally.errors,
            contention: tally.contention,
            usage,
            ..Outcome::default()
        };
        if let Some(error) = &tally.first_error {
            outcome.note("first error", error.clone());
        }
        Ok(outcome)
    }
}

fn latency(histogram: &Histogram<u64>) -> Option<Latency> {
    let millis = |micros: u64| micros as f64 / 1_000.0;
    (!histogram.is_empty()).then(|| Latency {
        p50_ms: millis(histogram.value_at_quantile(0.50)),
        p95_ms: millis(histogram.value_at_quantile(0.95)),
        p99_ms: millis(histogram.value_at_quantile(0.99)),
        max_ms: millis(histogram.max()),
    })
}

/// Work that callers share: each takes one piece after the other until none is left.
#[derive(Debug)]
pub(crate) struct Budget {
    next: AtomicU64,
    end: u64,
}

impl Budget {
    pub(crate) fn new(pieces: u64) -> Arc<Budget> {
        Arc::new(Budget {
            next: AtomicU64::new(0),
            end: pieces,
        })
    }

    /// The number of a piece that nobody else has.
    pub(crate) fn take(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.end).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_of_a_budget_is_taken_once() {
        let budget = Budget::new(2);
        assert_eq!(
            [budget.take(), budget.take(), budget.take()],
            [Some(0), Some(1), None]
        );
    }

    #[test]
    fn latencies_are_told_in_milliseconds() {
        let recorder = Recorder::new().expect("the bounds are allowed");
        for millis in 1..=100 {
            recorder.took(Duration::from_millis(millis));
        }
        let latency = latency(&recorder.tally().histogram).expect("something was recorded");
        assert!((latency.p50_ms - 50.0).abs() < 0.1, "{latency:?}");
        assert!((latency.max_ms - 100.0).abs() < 0.1, "{latency:?}");
    }

    #[test]
    fn nothing_recorded_has_no_latency() {
        assert_eq!(latency(&histogram().expect("the bounds are allowed")), None);
    }
}
