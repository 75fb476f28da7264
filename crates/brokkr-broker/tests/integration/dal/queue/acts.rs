//! What can be done with a queue.

use brokkr_broker::dal::attempts::{self, EndedAttempt, Report};
use brokkr_broker::dal::endings::{self, EndingOrder, Retry, Return, Returned};
use brokkr_broker::dal::log::LogEntry;
use brokkr_broker::dal::renewals;
use brokkr_broker::dal::restores;
use brokkr_broker::dal::routes::Routed;
use brokkr_broker::dal::work_orders::{self, ListFilter, OrderHead};
use brokkr_broker::dal::{Sql, Tx, Value, claims, pending, sweeps};
use brokkr_core::attempt::{Attempt, Epoch};
use brokkr_core::life::{AttemptEnding, Ending, Event, IllegalEvent, Life, State};
use brokkr_core::retry::Budget;
use brokkr_core::routing::{Route, Targeting};
use brokkr_core::time::Timestamp;

use super::{INSTANCE, LEASE, Queue, id, lease_seconds, numbers, renewing, work_type};
use crate::dal::samples::{agent_id, at};

static ROUTES_OF_ORDER: Sql = Sql::shared(
    "tests.routes_of_order",
    "SELECT route FROM work_order_routes WHERE work_order_id = $1 ORDER BY route",
);

impl Queue {
    /// Moves orders to the log at the time 20.
    pub(in crate::dal) async fn end(&self, orders: &[EndingOrder]) -> Vec<LogEntry> {
        self.write(async |tx| endings::move_to_log_many(tx, orders, at(20)).await.unwrap())
            .await
    }

    /// Tries to send an order to wait for a retry, without asking the model.
    pub(in crate::dal) async fn retry(&self, order: u64, attempt: u32) -> bool {
        self.retry_of(order, attempt, Budget::Retries).await
    }

    /// As [`Queue::retry`], paid for by this budget.
    pub(in crate::dal) async fn retry_of(&self, order: u64, attempt: u32, budget: Budget) -> bool {
        let (id, attempt) = (id(order), Attempt::new(attempt.into()));
        let retry = Retry {
            id,
            attempt,
            budget,
            not_before: at(30),
            last_error: "it broke".to_owned(),
        };
        let retried =
            self.write(async |tx| endings::schedule_retry_many(tx, &[retry], at(20)).await.unwrap());
        !retried.await.is_empty()
    }

    /// Tries to send an order back to the queue, without asking the model.
    pub(in crate::dal) async fn give_back(&self, order: u64, attempt: u32, reason: Returned) -> bool {
        let back = Return {
            id: id(order),
            attempt: Attempt::new(attempt.into()),
            reason,
        };
        let reopened = self.write(async |tx| {
            endings::return_to_pending_many(tx, &[back], at(20))
                .await
                .unwrap()
        });
        !reopened.await.is_empty()
    }

    pub(in crate::dal) async fn set_targeting(
        &self,
        order: u64,
        targeting: &Targeting,
    ) -> Option<Vec<Routed>> {
        self.write(async |tx| {
            work_orders::set_targeting(tx, id(order), targeting, at(11))
                .await
                .unwrap()
                .map(|retargeted| retargeted.opened)
        })
        .await
    }

    pub(in crate::dal) async fn request_cancel(
        &self,
        order: u64,
        seconds: u64,
        reason: Option<&str>,
    ) -> bool {
        self.write(async |tx| {
            work_orders::request_cancel(tx, id(order), at(seconds), reason)
                .await
                .unwrap()
        })
        .await
    }

    pub(in crate::dal) async fn list(
        &self,
        filter: &ListFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Vec<u128> {
        let page = self.read(async |tx| {
            work_orders::list(tx, filter, before.map(id), limit)
                .await
                .unwrap()
        });
        numbers(&page.await)
    }

    pub(in crate::dal) async fn epoch(&self) -> Epoch {
        self.read(async |tx| restores::epoch(tx).await.unwrap()).await
    }

    /// Begins an epoch, as a restoration does.
    pub(in crate::dal) async fn restored(&self, epoch: Epoch, now: Timestamp) {
        self.write(async |tx| restores::insert(tx, epoch, now).await.unwrap())
            .await;
    }

    /// What the agent could claim at the time 10.
    pub(in crate::dal) async fn pending(
        &self,
        agent: u128,
        of_type: Option<&str>,
        after: Option<u64>,
    ) -> Vec<u128> {
        let (agent, of_type, after) = (agent_id(agent), of_type.map(work_type), after.map(id));
        let page = self.read(async |tx| {
            pending::for_agent(tx, agent, of_type.as_ref(), after, at(10), 9)
                .await
                .unwrap()
        });
        numbers(&page.await)
    }

    pub(in crate::dal) async fn routes(&self, order: u64) -> Vec<Route> {
        let order = vec![Value::Uuid(Some(id(order).as_uuid()))];
        let rows = self
            .read(async |tx| tx.fetch_all(&ROUTES_OF_ORDER, order).await.unwrap())
            .await;
        rows.iter().map(|row| row.get("route").unwrap()).collect()
    }

    /// Lets `event` happen to an order, as the broker does: it asks the pure model and then the store. What the store made
    /// of it must be what the model said.
    pub(in crate::dal) async fn apply(&self, order: u64, event: Event) -> Result<Life, IllegalEvent> {
        let (expected, stored) = self
            .write(async |tx| {
                let head = work_orders::get_for_update(tx, &[id(order)])
                    .await
                    .unwrap()
                    .pop()
                    .unwrap();
                let expected = head.life().apply(event)?;
                store(tx, &head, event, expected).await;
                Ok((expected, work_orders::get(tx, head.id).await.unwrap()))
            })
            .await?;
        match expected.state {
            State::Ended(ending) => {
                assert_eq!(stored, None);
                assert_eq!(self.ended(order).await.map(|entry| entry.ending), Some(ending));
            }
            State::Deleted => assert_eq!(stored, None),
            _ => assert_eq!(stored.map(|stored| stored.life()), Some(expected)),
        }
        Ok(expected)
    }
}

/// The time at which `event` happens; 20 for those that carry none.
fn time(event: Event) -> Timestamp {
    match event {
        Event::Claim { now, .. }
        | Event::Fail { now, .. }
        | Event::LeasePassed { now }
        | Event::DeadlinePassed { now, .. }
        | Event::StartByPassed { now }
        | Event::Due { now } => now,
        _ => at(20),
    }
}

async fn store(tx: &mut Tx, head: &OrderHead, event: Event, next: Life) {
    let now = time(event);
    let (id, attempt) = (head.id, head.attempt());
    match (event, next.state) {
        (_, State::Deleted) => assert!(work_orders::delete(tx, id).await.unwrap().is_some()),
        (Event::Cancel, State::Claimed(_)) => {
            work_orders::request_cancel(tx, id, now, Some("enough"))
                .await
                .unwrap();
        }
        (
            Event::Claim {
                agent, now, epoch, ..
            },
            _,
        ) => {
            assert_eq!(restores::epoch(tx).await.unwrap(), epoch);
            assert!(claims::claim_by_id(tx, id, agent, now).await.unwrap().is_some());
        }
        (Event::Renew { lease_expires_at, .. }, State::Claimed(lease)) => {
            let renewal = renewing(lease.agent, INSTANCE, lease_seconds(LEASE));
            let now = lease_expires_at.minus(std::time::Duration::from_secs(LEASE));
            assert_eq!(
                renewals::renew_many(tx, [(id, attempt)].iter().map(renewal), now)
                    .await
                    .unwrap()
                    .len(),
                1
            );
        }
        (Event::Due { .. }, _) => {
            assert_eq!(sweeps::promote_many(tx, [id], now).await.unwrap().len(), 1);
        }
        (_, State::Ended(ending)) => {
            let order = EndingOrder {
                id,
                status: head.status(),
                attempt,
                ending,
                report: report(event, ending),
                attempt_ending: head
                    .claim
                    .is_some()
                    .then(|| (attempt_ending(event, next.state), None)),
            };
            assert_eq!(
                endings::move_to_log_many(tx, &[order], now).await.unwrap().len(),
                1
            );
        }
        (_, State::RetryPending { not_before }) => {
            let around = next.infrastructure_retry_count > head.life().infrastructure_retry_count;
            let retry = Retry {
                id,
                attempt,
                budget: if around {
                    Budget::Infrastructure
                } else {
                    Budget::Retries
                },
                not_before,
                last_error: "it broke".to_owned(),
            };
            assert_eq!(
                endings::schedule_retry_many(tx, &[retry], now)
                    .await
                    .unwrap()
                    .len(),
                1
            );
        }
        (_, State::Pending) => {
            let lost = next.lost_count > head.life().lost_count;
            let reason = if lost { Returned::Lost } else { Returned::Released };
            let back = Return { id, attempt, reason };
            assert_eq!(
                endings::return_to_pending_many(tx, &[back], now)
                    .await
                    .unwrap()
                    .len(),
                1
            );
        }
        (_, State::Scheduled { .. } | State::Claimed(_)) => unreachable!("no other event leads there"),
    }
    // The attempt of an order that ends is ended with it.
    let goes_on = matches!(next.state, State::Pending | State::RetryPending { .. });
    if let (Some(claim), true) = (&head.claim, goes_on) {
        let ended = EndedAttempt {
            id,
            attempt,
            agent: claim.agent,
            instance_id: claim.instance_id.clone(),
            started_at: claim.claimed_at,
            ended_at: now,
            ending: attempt_ending(event, next.state),
            report: Report::default(),
            outcome_hash: None,
        };
        attempts::insert_many(tx, &[ended]).await.unwrap();
    }
}

fn attempt_ending(event: Event, next: State) -> AttemptEnding {
    match (event, next) {
        (Event::Succeed { .. }, _) => AttemptEnding::Succeeded,
        (Event::Release { .. }, _) => AttemptEnding::Released,
        (Event::Fail { .. }, State::Ended(Ending::Cancelled)) => AttemptEnding::Cancelled,
        (Event::Fail { .. }, _) => AttemptEnding::Failed,
        _ => AttemptEnding::Lost,
    }
}

fn report(event: Event, ending: Ending) -> Report {
    let class = match event {
        Event::Fail { class, .. } => class,
        _ => None,
    };
    Report {
        message: Some(ending.to_string()),
        class,
        exit_code: None,
        result: None,
    }
}
