//! Whether a Lease may be taken. Pure: what was read and when comes in.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

/// Remembers since when a holder has not renewed.
pub(super) struct Judge {
    instance: String,
    valid: Duration,
    seen: Option<Seen>,
}

struct Seen {
    holder: String,
    renewed_at: Option<MicroTime>,
    since: Instant,
}

/// Whose a Lease is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody's, or its holder has not renewed it for as long as it is valid.
    Free,
    /// Of this process.
    Mine,
    /// Of another process.
    Others(String),
}

impl Judge {
    pub(super) fn new(instance: &str, valid: Duration) -> Self {
        Self {
            instance: instance.to_owned(),
            valid,
            seen: None,
        }
    }

    /// Judges what was read at `now`.
    pub(super) fn judge(&mut self, spec: &LeaseSpec, now: Instant) -> Verdict {
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if holder.is_empty() {
            return Verdict::Free;
        }
        if holder == self.instance {
            return Verdict::Mine;
        }
        let unchanged = self
            .seen
            .take()
            .filter(|seen| seen.holder == holder && seen.renewed_at == spec.renew_time);
        let since = unchanged.map_or(now, |seen| seen.since);
        self.seen = Some(Seen {
            holder: holder.clone(),
            renewed_at: spec.renew_time.clone(),
            since,
        });
        if self.valid_by(spec) <= now - since {
            Verdict::Free
        } else {
            Verdict::Others(holder)
        }
    }

    /// The holder says itself for how long it is to be believed.
    fn valid_by(&self, spec: &LeaseSpec) -> Duration {
        let seconds = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(self.valid, Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn held(holder: &str, renewed_at_second: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed_at_second).unwrap())),
            ..LeaseSpec::default()
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_holder_is_waited_for_until_it_was_seen_unchanged_for_as_long_as_it_is_valid() {
        let (mut judge, start) = (Judge::new("me", VALID), Instant::now());
        let other = Verdict::Others("other".to_owned());
        assert_eq!(judge.judge(&held("other", 1), start), other);
        assert_eq!(judge.judge(&held("other", 1), start + seconds(14)), other);
        assert_eq!(judge.judge(&held("other", 1), start + seconds(15)), Verdict::Free);
    }

    #[test]
    fn a_renewal_starts_the_wait_anew_whatever_its_time_says() {
        let (mut judge, start) = (Judge::new("me", VALID), Instant::now());
        let other = Verdict::Others("other".to_owned());
        assert_eq!(judge.judge(&held("other", 1000), start), other);
        // The holder's clock went back.
        assert_eq!(judge.judge(&held("other", 1), start + seconds(14)), other);
        assert_eq!(judge.judge(&held("other", 1), start + seconds(28)), other);
        assert_eq!(judge.judge(&held("other", 1), start + seconds(29)), Verdict::Free);
    }

    #[test]
    fn a_new_holder_is_waited_for_from_when_it_was_seen_first() {
        let (mut judge, start) = (Judge::new("me", VALID), Instant::now());
        judge.judge(&held("other", 1), start);
        let third = Verdict::Others("third".to_owned());
        assert_eq!(judge.judge(&held("third", 1), start + seconds(60)), third);
    }

    #[test]
    fn what_was_given_back_is_free_and_ones_own_is_ones_own() {
        let mut judge = Judge::new("me", VALID);
        assert_eq!(judge.judge(&LeaseSpec::default(), Instant::now()), Verdict::Free);
        assert_eq!(judge.judge(&held("", 1), Instant::now()), Verdict::Free);
        assert_eq!(judge.judge(&held("me", 1), Instant::now()), Verdict::Mine);
    }

    const VALID: Duration = Duration::from_secs(15);
}
