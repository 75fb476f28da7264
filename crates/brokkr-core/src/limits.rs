//! Numbers that users choose, with their bounds.

use std::fmt;

/// A number outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be between {min} and {max}, not {found}")]
pub struct OutOfBounds {
    /// The field's name on the wire.
    pub what: &'static str,
    /// The smallest allowed value.
    pub min: i64,
    /// The largest allowed value.
    pub max: i64,
    /// What was given.
    pub found: i64,
}

macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($repr:ty), $what:literal, $min:literal..=$max:literal $(, default $default:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($repr);

        impl $name {
            /// The smallest allowed value.
            pub const MIN: $repr = $min;
            /// The largest allowed value.
            pub const MAX: $repr = $max;

            /// Checks a number that came from outside.
            ///
            /// # Errors
            /// [`OutOfBounds`] names the field and its bounds.
            pub fn new(value: i64) -> Result<Self, OutOfBounds> {
                if !(i64::from(Self::MIN)..=i64::from(Self::MAX)).contains(&value) {
                    return Err(OutOfBounds {
                        what: $what,
                        min: i64::from(Self::MIN),
                        max: i64::from(Self::MAX),
                        found: value,
                    });
                }
                Ok(Self(value as $repr))
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $repr {
                self.0
            }
        }

        $(impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        })?

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

bounded! {
    /// How often an order may be tried again, after its first attempt. 0 to 1,000.
    MaxRetries(u32), "max_retries", 0..=1_000, default 3
}
bounded! {
    /// How often an order may be tried again after failures around its work, which use up no other retry. 0 to 1,000.
    InfrastructureRetriesMax(u32), "infrastructure_retries_max", 0..=1_000, default 5
}
bounded! {
    /// The base of the waiting time before a retry, in seconds. 0 to 86,400 (24 h, the cap of the waiting time itself).
    BackoffSeconds(u32), "backoff_seconds", 0..=86_400, default 60
}
bounded! {
    /// How long a contract claim holds, in seconds, and the most that one renewal may ask for. 1 to 2,592,000 (30 days).
    ClaimTimeoutSeconds(u32), "claim_timeout_seconds", 1..=2_592_000, default 3_600
}
bounded! {
    /// How long a claim holds unless it is renewed, in seconds. 5 to 2,592,000.
    LeaseSeconds(u32), "lease_seconds", 5..=2_592_000, default 30
}
bounded! {
    /// How soon after it was accepted an order must start, in seconds. 1 to 2,592,000 (30 days).
    StartBySeconds(u32), "start_by_seconds", 1..=2_592_000
}
bounded! {
    /// The longest that one attempt may run, in seconds. 1 to 2,592,000 (30 days). Never derived from the lease.
    DeadlineSeconds(u32), "deadline_seconds", 1..=2_592_000
}
bounded! {
    /// Orders of a higher priority are claimed first. -100 to 100.
    Priority(i8), "priority", -100..=100, default 0
}
bounded! {
    /// How many orders one claim may take. 1 to 100.
    ClaimMax(u32), "max", 1..=100, default 1
}
bounded! {
    /// How long a claim may wait for work, in seconds. 0 to 60, below what proxies take for an idle connection.
    WaitSeconds(u32), "wait_seconds", 0..=60, default 0
}
bounded! {
    /// How many rows a list answers at most. 1 to 1,000.
    PageLimit(u32), "limit", 1..=1_000, default 500
}

impl LeaseSeconds {
    /// The lease that an order grants when `self` was asked for: never longer than the order's own claim timeout.
    ///
    /// An order may have a claim timeout below [`LeaseSeconds::MIN`]; it then wins, since it is the order's own word.
    #[must_use]
    pub fn capped_by(self, timeout: ClaimTimeoutSeconds) -> u32 {
        self.0.min(timeout.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_named_in_the_error() {
        assert!(Priority::new(-100).is_ok() && Priority::new(100).is_ok());
        let error = Priority::new(101).expect_err("too high");
        assert_eq!(
            error.to_string(),
            "priority must be between -100 and 100, not 101"
        );
        assert!(MaxRetries::new(-1).is_err());
    }

    #[test]
    fn a_lease_is_never_longer_than_the_orders_claim_timeout() {
        let lease = LeaseSeconds::new(600).expect("valid");
        let short = ClaimTimeoutSeconds::new(2).expect("valid");
        assert_eq!(lease.capped_by(short), 2);
        assert_eq!(lease.capped_by(ClaimTimeoutSeconds::default()), 600);
    }
}
