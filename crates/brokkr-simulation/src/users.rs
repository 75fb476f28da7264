//! Those who submit orders, cancel, delete and retry them. They go by the same network as everybody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use brokkr_api::{Cancel, CreateWorkOrder};
use brokkr_client::{Client, ClientError};
use tokio::time::sleep;
use uuid::Uuid;

use crate::dice::{Dice, SharedDice};
use crate::plan::Act;
use crate::record::{Event, Record};

/// All users.
pub(crate) struct Users {
    client: Client,
    record: Record,
    dice: SharedDice,
    /// The orders of which somebody has heard, by their place in the plan.
    known: Mutex<BTreeMap<usize, Uuid>>,
}

impl Users {
    pub(crate) fn new(client: Client, record: Record, seed: &Dice) -> Arc<Self> {
        Arc::new(Self {
            client,
            record,
            dice: SharedDice::new(seed.of("users")),
            known: Mutex::default(),
        })
    }

    /// Submits an order, again and again until the broker has answered.
    pub(crate) async fn submit(&self, number: usize, key: &str, request: &CreateWorkOrder) {
        loop {
            match self.client.create_work_order(request, Some(key)).await {
                Ok(created) => {
                    let order = created.work_order.id;
                    let key = key.to_owned();
                    self.record.add(Event::Confirmed { order, key });
                    self.known
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(number, order);
                    return;
                }
                Err(error) if may_pass(&error) => self.wait().await,
                Err(error) => {
                    return self
                        .record
                        .note(format!("user      may not submit {key}: {error}"));
                }
            }
        }
    }

    /// Does something to an order, if anybody knows it yet.
    pub(crate) async fn act(&self, act: Act) {
        let (Act::Cancel(number) | Act::Delete(number) | Act::Retry(number)) = act;
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&number)
            .copied();
        let Some(order) = known else { return };
        let name = self.record.name(order);
        self.record.add(match act {
            Act::Cancel(_) => Event::Note(format!("user      cancels {name}")),
            Act::Delete(_) => Event::DeleteAsked { order },
            Act::Retry(_) => Event::Note(format!("user      retries {name}")),
        });
        loop {
            match self.ask(act, order).await {
                // To retry twice would make two orders.
                Err(error) if may_pass(&error) && !matches!(act, Act::Retry(_)) => self.wait().await,
                Err(error) => return self.record.note(format!("user      is told of {name}: {error}")),
                Ok(()) => return,
            }
        }
    }

    async fn ask(&self, act: Act, order: Uuid) -> Result<(), ClientError> {
        match act {
            Act::Cancel(_) => {
                let cancelled = self.client.cancel_work_order(order, &Cancel::default()).await;
                cancelled.map(drop)
            }
            Act::Delete(_) => self.client.delete_work_order(order).await,
            Act::Retry(_) => self.client.retry_work_order(order).await.map(drop),
        }
    }

    async fn wait(&self) {
        let wait = self.dice.throw().millis(100..2_000);
        sleep(wait).await;
    }
}

fn may_pass(error: &ClientError) -> bool {
    error.is_transient() || error.status().is_some_and(|status| status >= 500)
}
