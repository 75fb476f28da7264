//! Use cases: the only place that opens transactions and reads the clock.

pub mod agent_annotations;
pub mod agent_labels;
pub mod agents;
pub mod attempts;
pub mod audit;
pub mod authentication;
pub mod caller;
pub mod claims;
pub mod clock;
pub mod credentials;
pub mod database_clock;
pub mod endings;
mod followers;
pub mod generators;
pub mod health;
pub mod idempotency;
pub mod ids;
pub mod log;
pub mod metrics;
pub mod output;
pub mod random;
pub mod renewals;
pub mod retention;
pub mod startup;
mod steps;
pub mod sweeps;
mod waiters;
pub mod work_orders;
pub mod yaml;

use std::sync::Arc;

use brokkr_core::pak::Pak;
use brokkr_core::time::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Limits;
pub use crate::dal::DalError;
use crate::dal::Db;
use clock::Clock;
use followers::Followers;
use ids::Ids;
use metrics::Metrics;
use random::Random;
use waiters::Waiters;

/// Everything a use case needs. Cheap to clone; all clones share one broker.
#[derive(Clone)]
pub struct App {
    pub(crate) db: Db,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    ids: Arc<Ids>,
    pub(crate) limits: Arc<Limits>,
    metrics: Metrics,
    stopping: CancellationToken,
    waiters: Waiters,
    followers: Followers,
}

impl App {
    /// A broker over a database that has been migrated.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>, random: Arc<dyn Random>, limits: Limits) -> Self {
        Self {
            db,
            clock,
            random,
            ids: Arc::default(),
            limits: Arc::new(limits),
            metrics: Metrics::new(),
            stopping: CancellationToken::new(),
            waiters: Waiters::default(),
            followers: Followers::default(),
        }
    }

    /// What this broker counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Cancelled once the broker stops. Whoever waits on a caller's behalf answers then with what there is.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    pub(crate) fn new_request_id(&self) -> String {
        self.next_id(self.now()).simple().to_string()
    }

    pub(crate) fn new_pak(&self) -> Pak {
        Pak::from_random(self.random_bytes())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    pub(crate) fn next_id(&self, now: Timestamp) -> Uuid {
        self.ids.next(now, &*self.random)
    }
}
