//! Brokers on one database wake each other, and tell each other which keys are dead.
//!
//! What is new gathers in an outbox while a nudge is under way, and the next nudge takes all of it, so their number follows
//! from how long one takes and not from how many orders there are. They are sent outside of the transactions that made the
//! work: PostgreSQL commits transactions that notify one at a time. A nudge carries no authority. A lost one costs time
//! until the next look at the database, except for dead keys: those are told within the transaction that revokes them.

mod exchange;
mod message;
mod outbox;

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::App;
use crate::dal::DalError;
use crate::dal::nudges::{self, Channel};
use exchange::{Exchange, in_time};

pub(super) use message::to_forget;
pub(crate) use outbox::Outbox;

/// Why a broker no longer hears the others.
#[derive(Debug, thiserror::Error)]
pub enum NudgeError {
    /// The connection was lost or could not be made.
    #[error("the connection on which brokers wake each other does not work")]
    Storage(#[from] DalError),
    /// The database took too long to answer.
    #[error("the database did not answer in time on the connection on which brokers wake each other")]
    Silent,
    /// What is told does not come through.
    #[error(
        "the broker does not hear its own nudge: what is between it and PostgreSQL does not support LISTEN"
    )]
    Unheard,
}

/// What a broker needs to tell the others and to hear them. Cheap to clone; all clones are one broker's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nudges {
    name: Arc<OnceLock<String>>,
    outbox: Outbox,
    hearing: watch::Sender<bool>,
}

impl Nudges {
    pub(crate) fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// Tells this broker's nudges from those of others.
    fn name(&self, app: &App) -> &str {
        self.name
            .get_or_init(|| format!("{:016x}", u64::from_be_bytes(app.random_bytes())))
    }
}

impl App {
    /// Whether there may be other brokers on the database.
    #[must_use]
    pub fn others_possible(&self) -> bool {
        nudges::others_possible(&self.db)
    }

    /// Tells whether the broker hears the others, now and whenever that changes.
    #[must_use]
    pub fn hears_others(&self) -> watch::Receiver<bool> {
        self.nudges.hearing.subscribe()
    }

    /// Tells the other brokers what is new here and does what they tell, until the broker stops; ends at once where there can be
    /// no others. `look` is called when something may have been missed, and must not block.
    ///
    /// # Errors
    /// [`NudgeError`]: to be called again after a while.
    pub async fn exchange_nudges(&self, look: &(impl Fn() + Sync)) -> Result<(), NudgeError> {
        match in_time(Channel::open(&self.db)).await? {
            Some(channel) => Exchange::new(self, channel, look).run().await,
            None => Ok(()),
        }
    }

    /// Wakes claims that wait for work of which nobody told. Answers for how many pieces of it.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn wake_unnoticed(&self) -> Result<u64, DalError> {
        if self.parked_claims() == 0 {
            return Ok(0);
        }
        // Asks for one row: an idle fleet has tens of thousands of routes, and each of them would be looked at.
        let any = nudges::work_waits(&mut self.db.read().await?).await?;
        if any {
            self.wake_waiting_claims().await
        } else {
            Ok(0)
        }
    }
}
