//! Use cases: the only place that opens transactions and reads the clock.

pub mod agent_annotations;
pub mod agent_labels;
pub mod agents;
pub mod attempts;
pub mod audit;
pub mod authentication;
pub mod caller;
pub mod cancellations;
pub mod claims;
pub mod clock;
mod coalescer;
mod coalescers;
pub mod console_sessions;
pub mod credentials;
pub mod database_clock;
pub mod endings;
pub mod events;
pub mod explain;
mod followers;
pub mod generators;
pub mod health;
pub mod idempotency;
pub mod ids;
mod key_cache;
pub mod log;
pub mod metrics;
pub mod nudges;
mod offers;
pub mod output;
pub mod random;
pub mod recent_endings;
pub mod renewals;
pub mod restore;
pub mod retention;
pub mod retries;
pub mod startup;
mod steps;
pub mod sweeps;
mod waiters;
pub mod webhooks;
pub mod work_orders;
pub mod yaml;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::ids::AgentId;
use brokkr_core::pak::Pak;
use brokkr_core::routing::Route;
use brokkr_core::time::Timestamp;
use moka::sync::Cache;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Limits, WebhooksConfig};
pub use crate::dal::DalError;
use crate::dal::Db;
use clock::Clock;
use coalescers::Coalescers;
use events::{Horizon, Tail};
use followers::Followers;
use ids::Ids;
use key_cache::KeyCache;
use metrics::Metrics;
use nudges::Nudges;
use offers::Offers;
use random::Random;
use waiters::Waiters;
use webhooks::{Receivers, Telling};

/// More agents than that look twice when they begin to wait.
const ROUTES_SEEN_MAX: u64 = 100_000;

/// Everything a use case needs. Cloned several times for each request, for the price of one counter; all clones share one broker.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] consists of.
#[derive(Clone)]
pub struct Parts {
    pub(crate) db: Db,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    ids: Arc<Ids>,
    pub(crate) limits: Arc<Limits>,
    coalescers: Arc<Coalescers>,
    /// Where each agent listened when it last looked for work: a hint, checked at each look.
    routes_seen: Cache<AgentId, Arc<[Route]>>,
    metrics: Metrics,
    stopping: CancellationToken,
    waiters: Waiters,
    followers: Followers,
    offers: Arc<Offers>,
    nudges: Nudges,
    events: Tail,
    horizon: Horizon,
    keys: KeyCache,
    telling: Telling,
    recent_endings: Arc<recent_endings::Kept>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// A broker over a database that has been migrated.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>, random: Arc<dyn Random>, limits: Limits) -> Self {
        let [writers, _] = db.pool_use();
        let webhooks_config = WebhooksConfig::default();
        let (nudges, keys) = (Nudges::default(), KeyCache::of_broker(&db, key_cache::KEPT));
        Self(Arc::new(Parts {
            db,
            clock,
            random,
            ids: Arc::default(),
            routes_seen: Cache::new(ROUTES_SEEN_MAX),
            coalescers: Arc::new(Coalescers::new(limits.requests_waiting_max, writers.max)),
            limits: Arc::new(limits),
            metrics: Metrics::new(),
            stopping: CancellationToken::new(),
            waiters: Waiters::new(nudges.outbox()),
            followers: Followers::default(),
            offers: Arc::default(),
            nudges,
            events: Tail::default(),
            horizon: Horizon::default(),
            keys,
            telling: Telling::with(None, Receivers::new(&webhooks_config), &webhooks_config),
            recent_endings: Arc::default(),
        }))
    }

    /// The same broker, which takes a key that was accepted for good for `kept` unless it hears that it was revoked. It asks the
    /// database for each request when that is zero.
    #[must_use]
    pub fn remembering_keys_for(self, kept: Duration) -> Self {
        let keys = KeyCache::of_broker(&self.db, kept);
        let parts = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Parts { keys, ..parts }))
    }

    /// The same broker, which tells webhooks with `telling`.
    #[must_use]
    pub fn telling_webhooks(self, telling: Telling) -> Self {
        let parts = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Parts { telling, ..parts }))
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
