//! What may end an attempt before its work has ended.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::stop::{StopReason, StopSignal};

/// How long after the deadline the agent waits for the cluster to enforce it, since that leaves the better evidence.
const MARGIN: Duration = Duration::from_secs(5);

/// The agent's word, and the deadline.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    stop: StopSignal,
    ends_at: Option<Instant>,
}

impl Limits {
    /// The limits of an attempt that may go on for `left`, if it has a deadline.
    pub(crate) fn new(stop: StopSignal, left: Option<Duration>) -> Self {
        // A deadline too far away to be told in time is none.
        let ends_at = left.and_then(|left| Instant::now().checked_add(left.saturating_add(MARGIN)));
        Self { stop, ends_at }
    }

    /// Completes when the attempt has to stop.
    pub(crate) async fn requested(&self) -> StopReason {
        let deadline = async {
            match self.ends_at {
                Some(ends_at) => sleep_until(ends_at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = self.stop.requested() => reason,
            () = deadline => StopReason::Deadline,
        }
    }

    /// Completes with what `work` answers, or with the reason to stop if that comes first.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, StopReason> {
        tokio::select! {
            biased;
            reason = self.requested() => Err(reason),
            answer = work => Ok(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::StopHandle;

    #[tokio::test]
    async fn the_deadline_stops_an_attempt_that_nobody_stops() {
        let (_handle, stop) = StopHandle::new();
        let ends_at = Some(Instant::now());
        let limits = Limits { stop, ends_at };
        assert_eq!(limits.requested().await, StopReason::Deadline);
    }

    #[tokio::test]
    async fn what_is_done_in_time_is_answered_and_a_stop_comes_first() {
        let (handle, stop) = StopHandle::new();
        let limits = Limits::new(stop, Some(Duration::MAX));
        assert_eq!(limits.within(async { 7 }).await, Ok(7));
        handle.stop(StopReason::Cancelled);
        assert_eq!(limits.within(async { 7 }).await, Err(StopReason::Cancelled));
    }

    #[test]
    fn the_cluster_has_some_time_to_enforce_the_deadline_itself() {
        let (_handle, stop) = StopHandle::new();
        let now = Instant::now();
        let ends_at = Limits::new(stop, Some(Duration::from_secs(60))).ends_at;
        assert!(ends_at.is_some_and(|ends_at| now + Duration::from_secs(60) + MARGIN <= ends_at));
    }
}
