//! Up to which event nothing can appear any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokkr_core::time::Timestamp;

use crate::dal::events::{self, Position, Seen};
use crate::dal::{DalError, Tx};

/// The horizon as far as this broker has found it out. Cheap to clone; all clones are one broker's.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct Horizon(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    settled: Position,
    seen: Option<(Seen, Timestamp)>,
}

/// What a look at the horizon found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) struct Looked {
    /// Everything is there up to this position.
    pub(in crate::app) settled: Position,
    /// Since when something is waited for that was seen beyond it, if anything is.
    pub(in crate::app) unsettled_since: Option<Timestamp>,
}

impl Horizon {
    /// Looks whether that is settled which was seen before and was not settled then, or else what there is at `now`.
    pub(in crate::app) async fn look(&self, tx: &mut Tx, now: Timestamp) -> Result<Looked, DalError> {
        let before = self.known().seen;
        let (seen, since) = match before {
            Some(before) => before,
            None => (events::seen(tx).await?, now),
        };
        let settled = events::settled(tx, seen).await?;
        let mut known = self.known();
        if settled {
            known.settled = known.settled.max(seen.position);
        }
        known.seen = (!settled).then_some((seen, since));
        Ok(Looked {
            settled: known.settled,
            unsettled_since: (!settled).then_some(since),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
