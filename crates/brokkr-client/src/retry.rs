//! Trying again what may pass. Only for calls that are safe to send twice.

use std::time::Duration;

use crate::ClientError;

/// How long to wait before each new try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second try; it doubles with each one.
    pub first: Duration,
    /// No wait is longer, unless the broker asks for it.
    pub max: Duration,
    /// How many tries at most, the first included. None tries for ever.
    pub tries_max: Option<u32>,
}

impl Default for Backoff {
    /// 200 ms, up to 10 s, for ever.
    fn default() -> Backoff {
        Backoff {
            first: Duration::from_millis(200),
            max: Duration::from_secs(10),
            tries_max: None,
        }
    }
}

impl Backoff {
    /// The wait after `failures` failures (1 or more). `jitter` (0 to 1) takes up to half of it away, so that clients that
    /// failed together do not come back together. A `retry_after` of the broker is the least, and `jitter` adds up to a quarter
    /// of it, since the broker asks it of everybody.
    pub fn delay(&self, failures: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        let whole = self.first.saturating_mul(doubled).min(self.max);
        let jitter = jitter.clamp(0.0, 1.0);
        let asked = retry_after.unwrap_or_default().mul_f64(1.0 + jitter / 4.0);
        whole.mul_f64(1.0 - jitter / 2.0).max(asked)
    }
}

/// Calls until the answer is not transient or the tries are used up. `jitter` gives a number from 0 to 1 for each wait.
///
/// # Errors
/// The error of the last try.
pub async fn with_backoff<T>(
    backoff: Backoff,
    mut jitter: impl FnMut() -> f64,
    mut sleep: impl AsyncFnMut(Duration),
    mut call: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let mut failures = 0;
    loop {
        match call().await {
            Err(error) if error.is_transient() && backoff.tries_max.is_none_or(|max| failures + 1 < max) => {
                failures += 1;
                sleep(backoff.delay(failures, jitter(), error.retry_after())).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProblemAnswer;

    fn answered(status: u16, retry_after: Option<Duration>) -> ClientError {
        let (code, message) = ("code".to_owned(), "message".to_owned());
        let problem = ProblemAnswer {
            status,
            code,
            message,
            details: None,
            retry_after,
            request_id: None,
        };
        ClientError::Problem(Box::new(problem))
    }

    #[test]
    fn waits_grow_to_the_most_and_never_overflow() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(1, 0.0, None), Duration::from_millis(200));
        assert_eq!(backoff.delay(3, 0.0, None), Duration::from_millis(800));
        assert_eq!(backoff.delay(u32::MAX, 0.0, None), Duration::from_secs(10));
        assert_eq!(backoff.delay(u32::MAX, 1.0, None), Duration::from_secs(5));
        assert_eq!(
            backoff.delay(1, 0.0, Some(Duration::from_secs(32))),
            Duration::from_secs(32)
        );
        assert_eq!(
            backoff.delay(1, 1.0, Some(Duration::from_secs(32))),
            Duration::from_secs(40)
        );
    }

    #[tokio::test]
    async fn only_what_may_pass_is_tried_again() {
        let mut answers = vec![
            Ok(7),
            Err(answered(503, Some(Duration::from_secs(3)))),
            Err(answered(429, None)),
        ];
        let mut waits = Vec::new();
        let result = with_backoff(
            Backoff::default(),
            || 0.0,
            async |wait| waits.push(wait),
            async || answers.pop().expect("no more calls"),
        );
        assert_eq!(result.await.unwrap(), 7);
        assert_eq!(waits, [Duration::from_millis(200), Duration::from_secs(3)]);

        let never = async |_| panic!("409 does not pass");
        let refused = with_backoff(
            Backoff::default(),
            || 0.0,
            never,
            async || Err::<(), _>(answered(409, None)),
        )
        .await;
        assert_eq!(refused.unwrap_err().status(), Some(409));
    }

    #[tokio::test]
    async fn the_tries_are_bounded() {
        let backoff = Backoff {
            tries_max: Some(3),
            ..Backoff::default()
        };
        let mut calls = 0;
        let call = async || {
            calls += 1;
            Err::<(), _>(answered(503, None))
        };
        assert!(with_backoff(backoff, || 0.5, async |_| {}, call).await.is_err());
        assert_eq!(calls, 3);
    }
}
