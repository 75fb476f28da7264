//! The kinds of request that are done in batches, each with its own queue.

use super::claims::{Claims, KnownClaims};
use super::coalescer::{Bounds, Coalescer};
use super::endings::Endings;
use super::output::Appends;
use super::renewals::Leases;
use super::work_orders::Creates;

/// The most rows that one transaction writes for many callers: long enough to share a write to the disk, short enough not to
/// keep the last of them waiting.
const WEIGHT_MAX: usize = 1_000;

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
    /// Queues in which at most this many requests of each kind wait.
    pub(super) fn new(waiting_max: usize) -> Self {
        let bounds = Bounds {
            waiting_max,
            weight_max: WEIGHT_MAX,
        };
        Self {
            creates: Coalescer::new(bounds),
            claims: Coalescer::new(bounds),
            known_claims: Coalescer::new(bounds),
            renewals: Coalescer::new(bounds),
            endings: Coalescer::new(bounds),
            output: Coalescer::new(bounds),
        }
    }
}
