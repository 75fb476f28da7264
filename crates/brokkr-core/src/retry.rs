//! When a failed attempt is tried again, and after how long.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest wait before a retry: 24 hours, in seconds.
pub const BACKOFF_SECONDS_MAX: u64 = 86_400;

/// Which of an order's two budgets pays for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Budget {
    /// The order's retries, which failures of the work and losses use up.
    Retries,
    /// The retries for what happened around the work, which leave the others alone.
    Infrastructure,
}

/// How long to wait before the retry that raised the count of its budget to `retry_count`, in seconds.
///
/// `backoff_seconds * 2^retry_count`, as the contract has it, saturating and capped at [`BACKOFF_SECONDS_MAX`].
#[must_use]
pub fn backoff_seconds(base: u32, retry_count: u32) -> u64 {
    let factor = 1_u64.checked_shl(retry_count).unwrap_or(u64::MAX);
    u64::from(base).saturating_mul(factor).min(BACKOFF_SECONDS_MAX)
}

/// A wait of `seconds` that is shortened at random: `random` chooses, evenly, between half of it and all of it.
///
/// What fails together would otherwise come back together, again and again. It is never longer than the contract's wait.
#[must_use]
pub fn jittered(seconds: u64, random: u64) -> Duration {
    let half = Duration::from_secs(seconds) / 2;
    let chosen = (half.as_micros() * u128::from(random)) >> 64;
    half + Duration::from_micros(u64::try_from(chosen).unwrap_or(u64::MAX))
}

/// What kind of thing made an attempt fail. A value set where the failure happens, never read out of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// Around the work: evicted, node gone, API overloaded, agent stopped.
    Infrastructure,
    /// The work itself: a non-zero exit status, a Job that failed.
    Work,
    /// Not allowed or not valid: policy, invalid document, forbidden.
    Refused,
    /// The attempt ran longer than its deadline.
    Deadline,
    /// The attempt was stopped because somebody cancelled the order.
    Cancelled,
}

impl FailureClass {
    /// Every class, in the order in which the documents list them.
    pub const ALL: [Self; 5] = [
        Self::Infrastructure,
        Self::Work,
        Self::Refused,
        Self::Deadline,
        Self::Cancelled,
    ];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Infrastructure => "infrastructure",
            Self::Work => "work",
            Self::Refused => "refused",
            Self::Deadline => "deadline",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is not one of the words of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {what}; it must be one of {allowed}")]
pub struct UnknownWord {
    /// The kind of word.
    pub what: &'static str,
    /// The words that exist, separated by commas.
    pub allowed: &'static str,
    /// What was given.
    pub found: String,
}

impl FromStr for FailureClass {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "failure class",
                allowed: "infrastructure, work, refused, deadline, cancelled",
                found: text.to_owned(),
            })
    }
}

/// The classes of failure that an order wants retried. A failure of the work itself is only in it when the user said so:
/// running a failed migration again is the user's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn(BTreeSet<FailureClass>);

impl Default for RetryOn {
    fn default() -> Self {
        Self(BTreeSet::from([FailureClass::Infrastructure]))
    }
}

/// A class that no order can ask retries of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("retry_on must not contain {0}: such a failure would only happen again")]
pub struct NeverRetried(pub FailureClass);

impl RetryOn {
    /// The classes to retry.
    ///
    /// # Errors
    /// [`NeverRetried`] for `refused` and `cancelled`.
    pub fn new(classes: impl IntoIterator<Item = FailureClass>) -> Result<Self, NeverRetried> {
        let classes: BTreeSet<_> = classes.into_iter().collect();
        match classes
            .iter()
            .find(|class| matches!(class, FailureClass::Refused | FailureClass::Cancelled))
        {
            Some(class) => Err(NeverRetried(*class)),
            None => Ok(Self(classes)),
        }
    }

    /// Whether a failure of this class is to be retried.
    #[must_use]
    pub fn contains(&self, class: FailureClass) -> bool {
        self.0.contains(&class)
    }

    /// The classes, in their listed order.
    pub fn iter(&self) -> impl Iterator<Item = FailureClass> + '_ {
        self.0.iter().copied()
    }

    /// Which budget pays for the retry of a reported failure; none when it is not to be retried.
    ///
    /// What was refused or cancelled is never retried. Otherwise the reporter's own word wins, counted as the contract has it;
    /// then the class decides; a report with neither may be retried, as the contract's default says.
    #[must_use]
    pub fn budget(&self, said: Option<bool>, class: Option<FailureClass>) -> Option<Budget> {
        match (said, class) {
            (_, Some(FailureClass::Refused | FailureClass::Cancelled)) => None,
            (Some(said), _) => said.then_some(Budget::Retries),
            (None, None) => Some(Budget::Retries),
            (None, Some(class)) if !self.contains(class) => None,
            (None, Some(FailureClass::Infrastructure)) => Some(Budget::Infrastructure),
            (None, Some(_)) => Some(Budget::Retries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_the_first_retry_on() {
        assert_eq!([1, 2, 3].map(|count| backoff_seconds(60, count)), [120, 240, 480]);
    }

    #[test]
    fn the_wait_never_overflows_and_never_exceeds_a_day() {
        for count in [11, 31, 32, 63, 64, 65, u32::MAX] {
            assert_eq!(backoff_seconds(60, count), BACKOFF_SECONDS_MAX);
        }
        assert_eq!(backoff_seconds(u32::MAX, u32::MAX), BACKOFF_SECONDS_MAX);
        assert_eq!(backoff_seconds(0, u32::MAX), 0);
    }

    #[test]
    fn a_wait_with_jitter_is_between_half_of_it_and_all_of_it() {
        assert_eq!(jittered(120, 0), Duration::from_secs(60));
        assert_eq!(jittered(120, 1 << 63), Duration::from_secs(90));
        assert_eq!(jittered(120, u64::MAX), Duration::from_micros(119_999_999));
        assert_eq!(jittered(0, u64::MAX), Duration::ZERO);
        for random in [0, 7, u64::MAX / 3, u64::MAX] {
            let wait = jittered(BACKOFF_SECONDS_MAX, random);
            assert!(wait >= Duration::from_secs(BACKOFF_SECONDS_MAX / 2));
            assert!(wait <= Duration::from_secs(BACKOFF_SECONDS_MAX));
        }
    }

    #[test]
    fn the_reporters_word_wins_over_the_class_and_counts_as_in_the_contract() {
        let retry_on = RetryOn::default();
        for class in [FailureClass::Work, FailureClass::Infrastructure] {
            assert_eq!(retry_on.budget(Some(true), Some(class)), Some(Budget::Retries));
            assert_eq!(retry_on.budget(Some(false), Some(class)), None);
        }
        assert_eq!(retry_on.budget(Some(true), None), Some(Budget::Retries));
    }

    #[test]
    fn without_a_word_the_class_decides_and_without_a_class_it_is_retried() {
        let retry_on = RetryOn::default();
        let budget = |class| retry_on.budget(None, class);
        assert_eq!(
            budget(Some(FailureClass::Infrastructure)),
            Some(Budget::Infrastructure)
        );
        assert_eq!(budget(Some(FailureClass::Work)), None);
        assert_eq!(budget(Some(FailureClass::Deadline)), None);
        assert_eq!(budget(None), Some(Budget::Retries));
    }

    #[test]
    fn failures_of_the_work_and_passed_deadlines_that_are_to_be_retried_use_up_the_orders_retries() {
        let retry_on = RetryOn::new([FailureClass::Work, FailureClass::Deadline]).expect("may be retried");
        for class in [FailureClass::Work, FailureClass::Deadline] {
            assert_eq!(retry_on.budget(None, Some(class)), Some(Budget::Retries));
        }
        assert_eq!(retry_on.budget(None, Some(FailureClass::Infrastructure)), None);
    }

    #[test]
    fn what_was_refused_or_cancelled_is_never_retried_whatever_is_said() {
        let retry_on = RetryOn::default();
        for class in [FailureClass::Refused, FailureClass::Cancelled] {
            for said in [None, Some(false), Some(true)] {
                assert_eq!(retry_on.budget(said, Some(class)), None);
            }
        }
    }

    #[test]
    fn nobody_can_ask_for_retries_of_a_refusal_or_a_cancellation() {
        assert_eq!(
            RetryOn::new([FailureClass::Refused]),
            Err(NeverRetried(FailureClass::Refused))
        );
        assert_eq!(
            RetryOn::new([FailureClass::Cancelled]),
            Err(NeverRetried(FailureClass::Cancelled))
        );
    }
}
