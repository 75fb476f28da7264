//! Keeps up the connection on which brokers wake each other.

use std::error::Error as _;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::Nudge;
use crate::app::App;
use crate::app::nudges::NudgeError;
use crate::error_chain::chain;

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection that worked for so long is not a sign of trouble when it is lost.
const STABLE: Duration = Duration::from_secs(60);

/// Exchanges nudges with the other brokers until the broker stops. Without it this broker only finds their work by looking.
pub struct Nudger {
    app: App,
    look: Nudge,
    failures: u32,
}

impl Nudger {
    /// For `app`. `look` makes the task run that looks for work which nobody told of.
    #[must_use]
    pub const fn new(app: App, look: Nudge) -> Self {
        let failures = 0;
        Self { app, look, failures }
    }

    /// Connects, and connects again whenever the connection is lost. Ends at once where there can be no other brokers.
    pub async fn run(mut self) {
        let stopping = self.app.stopping().clone();
        while !stopping.is_cancelled() && self.app.others_possible() {
            let began = Instant::now();
            let look = || self.look.nudge();
            let Err(error) = self.app.exchange_nudges(&look).await else {
                return;
            };
            if began.elapsed() > STABLE {
                self.failures = 0;
            }
            let pause = self.failed(&error);
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Says it once, not at each attempt.
    fn failed(&mut self, error: &NudgeError) -> Duration {
        let cause = error.source().map_or_else(|| error.to_string(), chain);
        match self.failures {
            0 => info!(error = %cause, "the other brokers are not heard for a moment"),
            3 => {
                warn!(error = %cause, "the other brokers are not heard: their work is found later, and keys are not remembered")
            }
            _ => {
                debug!(error = %cause, nudger.failures = self.failures, "the other brokers are still not heard")
            }
        }
        self.failures = self.failures.saturating_add(1);
        self.jittered(PAUSE_MIN.saturating_mul(2_u32.saturating_pow(self.failures.min(16))))
    }

    /// Between half of `pause` and the whole, so that brokers that lost the database together do not come back together.
    fn jittered(&self, pause: Duration) -> Duration {
        let [byte] = self.app.random_bytes::<1>();
        pause.min(PAUSE_MAX).mul_f64(0.5 + f64::from(byte) / 510.0)
    }
}
