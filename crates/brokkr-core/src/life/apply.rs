use std::time::Duration;

use super::{DEADLINE_MARGIN_SECONDS, Delivery, Ending, Event, IllegalEvent, Life, Refusal, State};
use crate::attempt::{Attempt, Lease};
use crate::retry::{self, Budget, FailureClass};
use crate::time::Timestamp;

impl Life {
    /// The only way a work order changes.
    ///
    /// # Errors
    /// [`IllegalEvent`] carries the life and the event when the one does not accept the other; nothing has changed then.
    pub fn apply(self, event: Event) -> Result<Self, IllegalEvent> {
        self.next(event).map_err(|refusal| IllegalEvent {
            life: self,
            event,
            refusal,
        })
    }

    fn next(self, event: Event) -> Result<Self, Refusal> {
        match (self.state, event) {
            (
                State::Pending,
                Event::Claim {
                    agent,
                    now,
                    lease_expires_at,
                    epoch,
                },
            ) => {
                if self.too_late_to_start(now) {
                    return Err(Refusal::TooLate);
                }
                let lease = Lease {
                    agent,
                    expires_at: lease_expires_at,
                    cancel_requested: false,
                };
                Ok(Self {
                    attempt: self.attempt.next_in(epoch),
                    state: State::Claimed(lease),
                    ..self
                })
            }
            (State::Claimed(lease), event) => self.while_claimed(lease, event),

            (State::Scheduled { .. } | State::Pending | State::RetryPending { .. }, Event::Cancel) => {
                Ok(self.ended(Ending::Cancelled))
            }
            (State::Scheduled { .. } | State::Pending, Event::StartByPassed { now }) => {
                if self.too_late_to_start(now) {
                    Ok(self.ended(Ending::Expired))
                } else {
                    Err(Refusal::TooEarly)
                }
            }
            (
                State::Scheduled { run_at: at } | State::RetryPending { not_before: at },
                Event::Due { now },
            ) => {
                if now < at {
                    Err(Refusal::TooEarly)
                } else {
                    Ok(Self {
                        state: State::Pending,
                        ..self
                    })
                }
            }
            (state, Event::Delete) if state.queued() => Ok(Self {
                state: State::Deleted,
                ..self
            }),

            (
                state,
                Event::Renew { attempt, .. }
                | Event::Release { attempt }
                | Event::Succeed { attempt }
                | Event::Fail { attempt, .. },
            ) if state.queued() || attempt != self.attempt => Err(Refusal::StaleAttempt {
                current: self.attempt,
            }),
            _ => Err(Refusal::WrongState),
        }
    }

    fn while_claimed(self, lease: Lease, event: Event) -> Result<Self, Refusal> {
        match event {
            Event::Renew {
                attempt,
                lease_expires_at,
            } => {
                self.is_current(attempt)?;
                let expires_at = lease.expires_at.max(lease_expires_at);
                Ok(Self {
                    state: State::Claimed(Lease { expires_at, ..lease }),
                    ..self
                })
            }
            Event::Release { attempt } => {
                self.is_current(attempt)?;
                Ok(if lease.cancel_requested {
                    self.ended(Ending::Cancelled)
                } else {
                    self.waiting()
                })
            }
            Event::Succeed { attempt } => {
                self.is_current(attempt)?;
                Ok(self.ended(Ending::Succeeded))
            }
            Event::Fail {
                attempt,
                class,
                retry,
                now,
                random,
            } => {
                self.is_current(attempt)?;
                let retry = retry.map(|budget| (budget, random));
                Ok(self.failed(lease, class, retry, now))
            }
            Event::LeasePassed { now } if lease.passed(now) => Ok(self.lost(lease)),
            Event::LeasePassed { .. } => Err(Refusal::TooEarly),
            Event::DeadlinePassed { now, deadline, .. }
                if now < deadline.plus_seconds(DEADLINE_MARGIN_SECONDS) =>
            {
                Err(Refusal::TooEarly)
            }
            Event::DeadlinePassed { retry: false, .. } if !lease.cancel_requested => {
                Ok(self.ended(Ending::Lost))
            }
            Event::DeadlinePassed { .. } | Event::HolderRemoved | Event::Restored => Ok(self.lost(lease)),
            Event::Cancel => Ok(Self {
                state: State::Claimed(Lease {
                    cancel_requested: true,
                    ..lease
                }),
                ..self
            }),
            Event::Delete => Ok(Self {
                state: State::Deleted,
                ..self
            }),
            Event::Claim { .. } | Event::StartByPassed { .. } | Event::Due { .. } => Err(Refusal::WrongState),
        }
    }

    fn failed(
        self,
        lease: Lease,
        class: Option<FailureClass>,
        retry: Option<(Budget, u64)>,
        now: Timestamp,
    ) -> Self {
        if lease.cancel_requested {
            // Only the class says that the work was stopped. Any other failure happened by itself and stays one, but
            // somebody wants the order gone, so it is not tried again.
            let confirmed = class == Some(FailureClass::Cancelled);
            return self.ended(if confirmed {
                Ending::Cancelled
            } else {
                Ending::Failed
            });
        }
        // How far the work got when something around it failed, nobody knows: it may have begun.
        let may_have_begun =
            self.policy.delivery == Delivery::AtMostOnce && class == Some(FailureClass::Infrastructure);
        match retry.filter(|(budget, _)| !may_have_begun && self.retries_left(*budget)) {
            Some((budget, random)) => self.retried(budget, now, random),
            None => self.ended(Ending::Failed),
        }
    }

    fn retried(mut self, budget: Budget, now: Timestamp, random: u64) -> Self {
        let count = match budget {
            Budget::Retries => &mut self.retry_count,
            Budget::Infrastructure => &mut self.infrastructure_retry_count,
        };
        *count += 1;
        let wait = retry::backoff_seconds(self.policy.backoff_seconds, *count);
        let wait = if self.policy.backoff_jitter {
            retry::jittered(wait, random)
        } else {
            Duration::from_secs(wait)
        };
        Self {
            state: State::RetryPending {
                not_before: now.plus(wait),
            },
            ..self
        }
    }

    /// The outcome of the current attempt cannot be known.
    fn lost(self, lease: Lease) -> Self {
        if lease.cancel_requested {
            return self.ended(Ending::Cancelled);
        }
        match self.policy.delivery {
            Delivery::AtLeastOnce if self.retries_left(Budget::Retries) => Self {
                lost_count: self.lost_count + 1,
                ..self.waiting()
            },
            _ => self.ended(Ending::Lost),
        }
    }

    fn ended(self, ending: Ending) -> Self {
        Self {
            state: State::Ended(ending),
            ..self
        }
    }

    fn waiting(self) -> Self {
        Self {
            state: State::Pending,
            ..self
        }
    }

    fn is_current(&self, attempt: Attempt) -> Result<(), Refusal> {
        if attempt == self.attempt {
            Ok(())
        } else {
            Err(Refusal::StaleAttempt {
                current: self.attempt,
            })
        }
    }

    /// The start-by time is about orders that never ran. One that comes back after a failure or a loss did start, so to
    /// end it as expired would be untrue.
    fn too_late_to_start(&self, now: Timestamp) -> bool {
        !self.started() && self.policy.start_by.is_some_and(|start_by| start_by < now)
    }
}
