//! The kinds of request that are done in batches, each with its own queue.

use super::claims::{Claims, KnownClaims};
use super::coalescer::{Bounds, Coalescer};
use super::endings::Endings;
use super::output::Appends;
use super::renewals::Leases;
use super::work_orders::Creates;

/// The most rows that one transaction writes for many callers: enough to share a write to the disk, and few enough not to keep the
/// last of them waiting.
const WEIGHT_MAX: usize = 400;

/// How many full batches of one kind are under way where the database takes more than one writer: the next one is made while the
/// one before it is written. Claims go one after the other, since what one of them has locked the next one would not see.
const BESIDE_EACH_OTHER: usize = 2;

/// One queue for each kind of request.
pub(super) struct Coalescers {
    pub(super) creates: Coalescer<Creates>,
    pub(super) claims: Coalescer<Claims>,
    pub(super) known_claims: Coalescer<KnownClaims>,
    pub(super) renewals: Coalescer<Leases>,
    pub(super) endings: Coalescer<Endings>,
    pub(super) output: Coalescer<Appends>,
}

impl Coalescers {
    /// Queues in which at most `waiting_max` requests of each kind wait, for a database that takes this many writers.
    pub(super) fn new(waiting_max: usize, writers_max: u32) -> Self {
        let alone = Bounds {
            waiting_max,
            weight_max: WEIGHT_MAX,
            running_max: 1,
        };
        let bounds = Bounds {
            running_max: BESIDE_EACH_OTHER.min(writers_max as usize),
            ..alone
        };
        Self {
            creates: Coalescer::new(bounds),
            claims: Coalescer::new(alone),
            known_claims: Coalescer::new(bounds),
            renewals: Coalescer::new(bounds),
            endings: Coalescer::new(bounds),
            output: Coalescer::new(bounds),
        }
    }
}
