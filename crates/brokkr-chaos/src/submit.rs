//! Submitting orders until the broker has answered for each, and cancelling some of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use brokkr_client::api::{BatchCreate, Cancel, ListWorkOrders};
use brokkr_client::retry::{Backoff, with_backoff};
use brokkr_client::{CancelOutcome, Client, ClientError};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::dice::Dice;
use crate::evidence::{Accepted, CancelAnswer};
use crate::orders::Kind;
use crate::reconcile::{Finding, Violation};
use crate::world::World;

/// How many submit at the same time.
const SUBMITTERS: u64 = 4;
/// The purpose of the first submitter's dice; the others' follow.
const PURPOSE: u64 = 100;
/// With so many in the queue nothing is submitted until it is shorter, so that it runs empty at the end.
const QUEUE_MAX: i64 = 120;
const LOOK: Duration = Duration::from_millis(400);

/// What the broker has said to submissions so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    accepted: Vec<Accepted>,
    findings: Vec<Finding>,
}

impl Ledger {
    pub(crate) fn into_parts(self) -> (Vec<Accepted>, Vec<Finding>) {
        let noted = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        (noted.accepted, noted.findings)
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn accept(&self, id: Uuid, kind: Kind) {
        let cancel = None;
        self.note(|noted| noted.accepted.push(Accepted { id, kind, cancel }));
    }

    fn cancelled(&self, id: Uuid, answer: CancelAnswer) {
        self.note(|noted| {
            let of_it = noted.accepted.iter_mut().filter(|accepted| accepted.id == id);
            of_it.for_each(|accepted| accepted.cancel = Some(answer));
        });
    }

    fn find(&self, violation: Violation) {
        self.note(|noted| noted.findings.push(Finding::of_the_campaign(violation)));
    }

    fn refused(&self, what: &str, error: &ClientError) {
        let what = format!("{what}: {error}");
        self.find(Violation::Refused { what });
    }
}

/// Asks again until there is an answer that will stay the same.
pub(crate) async fn until_answered<T>(
    call: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let backoff = Backoff {
        first: Duration::from_millis(100),
        max: Duration::from_secs(1),
        tries_max: None,
    };
    with_backoff(backoff, || 0.5, async |wait| sleep(wait).await, call).await
}

/// Submits for some time, and comes back when each submission was answered.
pub(crate) async fn submit(world: &World, seed: u64, until: Instant, ledger: &Ledger) {
    let full = AtomicBool::new(false);
    let submitters = (0..SUBMITTERS).map(|number| {
        Submitter {
            world,
            ledger,
            dice: Dice::new(seed, PURPOSE + number),
            key: format!("chaos-{seed}-{number}"),
            count: 0,
            to_cancel: VecDeque::new(),
        }
        .run(until, &full)
    });
    tokio::join!(join_all(submitters), watch_queue(&world.client, until, &full));
}

async fn watch_queue(client: &Client, until: Instant, full: &AtomicBool) {
    let query = ListWorkOrders {
        limit: Some(QUEUE_MAX),
        ..ListWorkOrders::default()
    };
    while Instant::now() < until {
        if let Ok(page) = client.work_orders(&query).await {
            let is_full = i64::try_from(page.items.len()).is_ok_and(|length| length == QUEUE_MAX);
            full.store(is_full, Ordering::Relaxed);
        }
        sleep(LOOK).await;
    }
}

struct Submitter<'a> {
    world: &'a World,
    ledger: &'a Ledger,
    dice: Dice,
    key: String,
    count: u64,
    to_cancel: VecDeque<(Instant, Uuid)>,
}

impl Submitter<'_> {
    async fn run(mut self, until: Instant, full: &AtomicBool) {
        while Instant::now() < until {
            if full.load(Ordering::Relaxed) {
                sleep(LOOK).await;
            } else if self.dice.percent(15) {
                self.submit_batch().await;
            } else {
                self.submit_one().await;
            }
            self.cancel_those_due(Instant::now()).await;
            sleep(self.dice.millis(50..500)).await;
        }
        let everything = Instant::now() + Duration::from_secs(3_600);
        self.cancel_those_due(everything).await;
    }

    fn next_key(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.key, self.count)
    }

    async fn submit_one(&mut self) {
        let (kind, key) = (Kind::draw(&mut self.dice), self.next_key());
        let order = kind.order(&mut self.dice, &self.world.ran());
        let client = &self.world.client;
        let create = async || client.create_work_order(&order, Some(&key)).await;
        let first = match until_answered(create).await {
            Ok(created) => created.work_order.id,
            Err(error) => return self.ledger.refused("a submission", &error),
        };
        self.accept(first, kind);
        if !self.dice.percent(10) {
            return;
        }
        match until_answered(create).await {
            Ok(again) if again.work_order.id != first => {
                let orders = [first, again.work_order.id];
                self.ledger.find(Violation::KeyMadeTwo { key, orders });
            }
            Ok(_) => {}
            Err(error) => self.ledger.refused("a repeated submission", &error),
        }
    }

    async fn submit_batch(&mut self) {
        let size = self.dice.number(2..15);
        let kinds: Vec<Kind> = (0..size).map(|_| Kind::draw(&mut self.dice)).collect();
        let (ran, key) = (self.world.ran(), self.next_key());
        let orders = kinds.iter().map(|kind| kind.order(&mut self.dice, &ran));
        let batch = BatchCreate {
            work_orders: orders.collect(),
        };
        let client = &self.world.client;
        let create = async || client.create_work_orders(&batch, Some(&key)).await;
        let answer = match until_answered(create).await {
            Ok(answer) => answer,
            Err(error) => return self.ledger.refused("a batch", &error),
        };
        for (item, kind) in answer.items.into_iter().zip(kinds) {
            match item.work_order {
                Some(order) => self.accept(order.id, kind),
                None => self.ledger.refused(
                    "an order of a batch",
                    &ClientError::of_item(item.status, item.error),
                ),
            }
        }
    }

    fn accept(&mut self, id: Uuid, kind: Kind) {
        self.ledger.accept(id, kind);
        if kind == Kind::Cancelled {
            let due = Instant::now() + self.dice.millis(0..6_000);
            self.to_cancel.push_back((due, id));
        }
    }

    async fn cancel_those_due(&mut self, now: Instant) {
        let due = self.to_cancel.iter().filter(|(at, _)| *at <= now);
        let due: Vec<Uuid> = due.map(|(_, id)| *id).collect();
        self.to_cancel.retain(|(at, _)| now < *at);
        for id in due {
            let (client, cancel) = (&self.world.client, Cancel { reason: None });
            let answer = match until_answered(async || client.cancel_work_order(id, &cancel).await).await {
                Ok(CancelOutcome::Ended(_)) => CancelAnswer::Ended,
                Ok(CancelOutcome::Requested(_)) => CancelAnswer::Requested,
                Err(error) if error.code() == Some("work_order_ended") => CancelAnswer::TooLate,
                Err(error) => {
                    self.ledger.refused("a cancellation", &error);
                    continue;
                }
            };
            self.ledger.cancelled(id, answer);
        }
    }
}
