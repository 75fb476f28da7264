//! Keys that were accepted a moment ago, so that not every request asks the database.
//!
//! A key that is revoked must not live on here. Three things see to that: a revocation is told to all brokers in its own
//! transaction; what was looked up while something was being revoked is not kept; and a broker that cannot hear the others
//! keeps nothing at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::pak::{Pak, PakHash, ShortPart};
use brokkr_core::time::Timestamp;
use moka::sync::Cache;

use super::caller::{Caller, Role};
use crate::dal::credentials::Credential;
use crate::dal::{Db, nudges};

/// The most keys that are remembered. One takes about 200 bytes.
const KEYS_MAX: u64 = 10_000;

/// How long a key is remembered unless it is configured.
pub(super) const KEPT: Duration = Duration::from_secs(30);

/// The keys that were accepted. Cheap to clone; all clones share them.
#[derive(Debug, Clone)]
pub(crate) struct KeyCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// By short part, of which each key has one of its own; the whole key is compared by its hash.
    accepted: Cache<ShortPart, Accepted>,
    switched_off: bool,
    /// Odd while the broker hears the others. Each change makes everything that was remembered before worthless.
    epoch: AtomicU64,
    /// How often something was forgotten. Whoever changes it, or remembers a key, holds it meanwhile.
    forgotten: Mutex<u64>,
}

#[derive(Debug, Clone)]
struct Accepted {
    hash: PakHash,
    role: Role,
    expires_at: Option<Timestamp>,
    epoch: u64,
}

/// What the cache was like before the database was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookup {
    epoch: u64,
    forgotten: u64,
}

/// Forgets keys when it is dropped.
#[derive(Debug)]
pub(crate) struct Forgetting<'k> {
    keys: &'k KeyCache,
    short: &'k [ShortPart],
}

impl KeyCache {
    /// The cache of a broker: open where there can be no other brokers, closed where they have to be heard first.
    pub(crate) fn of_broker(db: &Db, kept: Duration) -> Self {
        let keys = Self::new(kept);
        if !nudges::others_possible(db) {
            keys.open();
        }
        keys
    }

    /// A cache that is closed. Keys are remembered for `kept`; not at all when that is zero.
    fn new(kept: Duration) -> Self {
        Self(Arc::new(Inner {
            accepted: Cache::builder().max_capacity(KEYS_MAX).time_to_live(kept).build(),
            switched_off: kept.is_zero(),
            epoch: AtomicU64::new(0),
            forgotten: Mutex::new(0),
        }))
    }

    /// Begins to remember keys: from now on the broker hears of every one that is revoked.
    pub(crate) fn open(&self) {
        if !is_open(self.epoch()) {
            self.turn();
        }
    }

    /// Forgets all keys and remembers none: the broker may miss that one is revoked.
    pub(crate) fn close(&self) {
        if is_open(self.epoch()) {
            self.turn();
            self.0.accepted.invalidate_all();
        }
    }

    /// Whose key it is, if that is known to be so at `now`.
    pub(crate) fn find(&self, pak: &Pak, now: Timestamp) -> Option<Caller> {
        let epoch = self.epoch();
        if !is_open(epoch) {
            return None;
        }
        let accepted = self.0.accepted.get(pak.short())?;
        let good = accepted.epoch == epoch
            && accepted.expires_at.is_none_or(|at| now < at)
            && accepted.hash == pak.hash();
        good.then(|| Caller::new(accepted.role, pak.short().clone()))
    }

    /// To be called before the database is asked for a key that is then to be remembered.
    pub(crate) fn look_up(&self) -> Lookup {
        let forgotten = *self.forgotten();
        Lookup {
            epoch: self.epoch(),
            forgotten,
        }
    }

    /// Remembers a key that the database knew, unless anything was forgotten since `lookup`: this key, perhaps.
    pub(crate) fn remember(&self, lookup: Lookup, credential: &Credential) {
        let forgotten = self.forgotten();
        let unchanged = *forgotten == lookup.forgotten && self.epoch() == lookup.epoch;
        if unchanged && is_open(lookup.epoch) && !self.0.switched_off {
            let accepted = Accepted {
                hash: credential.hash,
                role: credential.role,
                expires_at: credential.expires_at,
                epoch: lookup.epoch,
            };
            self.0.accepted.insert(credential.short.clone(), accepted);
        }
    }

    /// Forgets these keys.
    pub(crate) fn forget(&self, short: &[ShortPart]) {
        let mut forgotten = self.forgotten();
        *forgotten += 1;
        for short in short {
            self.0.accepted.invalidate(short);
        }
    }

    /// Forgets these keys at the end of a commit, also of one whose outcome nobody waits for.
    pub(crate) const fn forgetting<'k>(&'k self, short: &'k [ShortPart]) -> Forgetting<'k> {
        Forgetting { keys: self, short }
    }

    fn turn(&self) {
        let _forgotten = self.forgotten();
        self.0.epoch.fetch_add(1, Ordering::SeqCst);
    }

    fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::SeqCst)
    }

    fn forgotten(&self) -> MutexGuard<'_, u64> {
        self.0.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        self.keys.forget(self.short);
    }
}

const fn is_open(epoch: u64) -> bool {
    epoch % 2 == 1
}

#[cfg(test)]
mod tests;
