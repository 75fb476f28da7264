//! What a database does when the same lifecycle is plain SQL.
//!
//! As a careful engineer would write it: prepared statements, one connection per caller on PostgreSQL and one writer on SQLite, the same
//! payload of 300 bytes, a queue with the one index that a claim needs, and a log. Nothing is given up for speed: every commit is durable,
//! and a claim answers the payload.

mod database;
mod postgres;
mod sqlite;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use uuid::Uuid;

use self::database::{Caller, RawDatabase};
use crate::recorder::Budget;

/// The length of an order's payload, in bytes.
const PAYLOAD_BYTES: usize = 300;
/// More callers than this do not help when each statement has a hundred orders.
const BATCH_CALLERS_MAX: u32 = 8;
/// A batch is quicker by more than this, and both are to take a while.
const BATCH_ORDERS_FACTOR: u64 = 5;

/// How much to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Orders of each limit with one order per transaction: 1 or more. Those in batches have five times as many.
    pub orders: u32,
    /// Callers at the same time: 1 or more. Those with batches are at most 8.
    pub callers: u32,
    /// Orders of one statement: 1 or more.
    pub batch: u32,
}

/// What the database did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// `create`, `claim` or `lifecycle` (create, claim and end, each with its own commit), and `_single` or `_batch`.
    pub name: String,
    /// Orders that were done.
    pub orders: u64,
    /// How long they took together.
    pub seconds: f64,
}

impl Limit {
    /// Orders per second; 0 when no time passed.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        if 0.0 < self.seconds {
            self.orders as f64 / self.seconds
        } else {
            0.0
        }
    }
}

/// Why the limits could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// A statement failed.
    #[error("a statement failed")]
    Statement(#[from] sqlx::Error),
    /// A count is wrong.
    #[error("{what}: there should be {expected}, but there are {found}")]
    Miscounted {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A task of a caller panicked.
    #[error("a caller broke down")]
    Caller(#[from] tokio::task::JoinError),
}

/// Measures all limits of a database that has no tables called `raw_queue` and `raw_log` yet. They stay behind.
///
/// # Errors
/// [`RawError`] when a statement fails, and when what was created was not claimed and ended exactly once.
pub async fn limits(database_url: &str, plan: &Plan) -> Result<Vec<Limit>, RawError> {
    let database = RawDatabase::prepare(database_url).await?;
    let single = Pace::single(plan);
    let batch = Pace::batch(plan);
    let (create_single, claim_single) = create_and_claim(&database, single).await?;
    let (create_batch, claim_batch) = create_and_claim(&database, batch).await?;
    let lifecycle_single = lifecycle(&database, single).await?;
    let lifecycle_batch = lifecycle(&database, batch).await?;
    let limits = [
        ("create_single", create_single),
        ("create_batch", create_batch),
        ("claim_single", claim_single),
        ("claim_batch", claim_batch),
        ("lifecycle_single", lifecycle_single),
        ("lifecycle_batch", lifecycle_batch),
    ];
    Ok(limits
        .map(|(name, (orders, seconds))| Limit {
            name: name.to_owned(),
            orders,
            seconds,
        })
        .into())
}

/// Orders and seconds.
type Measured = (u64, f64);

/// How many orders, by whom, and how many at once.
#[derive(Debug, Clone, Copy)]
struct Pace {
    orders: u64,
    callers: u32,
    size: u32,
}

impl Pace {
    fn single(plan: &Plan) -> Pace {
        Pace {
            orders: u64::from(plan.orders.max(1)),
            callers: plan.callers.max(1),
            size: 1,
        }
    }

    fn batch(plan: &Plan) -> Pace {
        let size = plan.batch.max(1);
        Pace {
            orders: (u64::from(plan.orders.max(1)) * BATCH_ORDERS_FACTOR).next_multiple_of(u64::from(size)),
            callers: plan.callers.clamp(1, BATCH_CALLERS_MAX),
            size,
        }
    }

    fn calls(self) -> u64 {
        self.orders / u64::from(self.size)
    }
}

/// What a caller does with each piece of the budget.
#[derive(Debug, Clone, Copy)]
enum Work {
    Create,
    Claim,
    Lifecycle,
}

async fn create_and_claim(database: &RawDatabase, pace: Pace) -> Result<(Measured, Measured), RawError> {
    let created = crew(database, pace, Work::Create).await?;
    database.expect(pace.orders, 0, 0).await?;
    let claimed = crew(database, pace, Work::Claim).await?;
    database.expect(pace.orders, pace.orders, 0).await?;
    database.clear().await?;
    Ok((created, claimed))
}

async fn lifecycle(database: &RawDatabase, pace: Pace) -> Result<Measured, RawError> {
    let measured = crew(database, pace, Work::Lifecycle).await?;
    database.expect(0, 0, pace.orders).await?;
    database.clear().await?;
    Ok(measured)
}

/// Lets all callers work until the budget is used up. Connecting does not count.
async fn crew(database: &RawDatabase, pace: Pace, work: Work) -> Result<Measured, RawError> {
    let mut callers = Vec::new();
    for _ in 0..pace.callers {
        callers.push(database.caller().await?);
    }
    let (budget, ids) = (Budget::new(pace.calls()), Arc::new(AtomicU64::new(1)));
    let begun = Instant::now();
    let mut crew = JoinSet::new();
    for caller in callers {
        crew.spawn(work_off(
            caller,
            pace.size,
            work,
            Arc::clone(&budget),
            Arc::clone(&ids),
        ));
    }
    while let Some(ended) = crew.join_next().await {
        ended??;
    }
    Ok((pace.orders, begun.elapsed().as_secs_f64()))
}

async fn work_off(
    mut caller: Caller,
    size: u32,
    work: Work,
    budget: Arc<Budget>,
    ids: Arc<AtomicU64>,
) -> Result<(), RawError> {
    let payload = "x".repeat(PAYLOAD_BYTES);
    while budget.take().is_some() {
        if matches!(work, Work::Create | Work::Lifecycle) {
            caller.create(&ascending(&ids, size), &payload).await?;
        }
        if matches!(work, Work::Create) {
            continue;
        }
        let claimed = caller.claim_all(size).await?;
        if matches!(work, Work::Lifecycle) {
            let (expected, found) = (claimed.len() as u64, caller.end(&claimed).await?);
            if expected != found {
                return Err(RawError::Miscounted {
                    what: "orders that ended",
                    expected,
                    found,
                });
            }
        }
    }
    Ok(())
}

/// Ids whose order is age, as those of the broker.
fn ascending(ids: &AtomicU64, count: u32) -> Vec<Uuid> {
    let first = ids.fetch_add(u64::from(count), Ordering::Relaxed);
    (first..first + u64::from(count))
        .map(|number| Uuid::from_u64_pair(number, number))
        .collect()
}

#[cfg(test)]
mod tests {
    use brokkr_testkit_postgres::Cluster;

    use super::*;

    const PLAN: Plan = Plan {
        orders: 30,
        callers: 4,
        batch: 10,
    };

    async fn add_up(url: &str) {
        let limits = limits(url, &PLAN).await.expect("the counts are right");
        let found: Vec<(&str, u64)> = limits
            .iter()
            .map(|limit| (limit.name.as_str(), limit.orders))
            .collect();
        let expected = [
            ("create_single", 30),
            ("create_batch", 150),
            ("claim_single", 30),
            ("claim_batch", 150),
            ("lifecycle_single", 30),
            ("lifecycle_batch", 150),
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn the_limits_of_sqlite_add_up() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        add_up(&format!("sqlite:{}", directory.path().join("raw.db").display())).await;
    }

    #[tokio::test]
    async fn the_limits_of_postgres_add_up() {
        let cluster = Cluster::start().expect("a cluster");
        add_up(cluster.url()).await;
    }
}
