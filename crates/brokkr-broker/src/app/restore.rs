//! What is to be done once the database was restored from a backup.

use brokkr_core::attempt::Epoch;
use brokkr_core::life::Event;
use brokkr_core::time::Timestamp;
use serde_json::json;

use super::App;
use super::steps::Actor;
use crate::dal::{DalError, audit, events, restores, sweeps};
use crate::guards::Guard;

/// How many claims are taken back by one statement.
const CLAIMS_BATCH: u32 = 1_000;

/// What became of the orders of a restored database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// What the attempts that are made from now on are numbered above.
    pub epoch: Epoch,
    /// How many claims were taken back: what became of them since the backup is not known.
    pub taken_back: u64,
    /// How many orders wait that must not run twice, although they may have run since the backup.
    pub waiting_at_most_once: u64,
}

impl App {
    /// Raises the epoch, so that no attempt gets a number that one got after the backup was taken, and takes back every claim,
    /// so that no report from before the restoration is taken for one of now. To be done before any broker serves.
    ///
    /// # Errors
    /// [`DalError`] when the database did not do its part; nothing was changed then.
    pub async fn restored(&self) -> Result<Restored, DalError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let epoch = restores::epoch(&mut tx).await?.raised(now);
        if Guard::EpochOfRestore.stands() {
            restores::insert(&mut tx, epoch, now).await?;
        }
        // The milliseconds of now are above every position: nothing changes a thousand times in a second for long.
        events::skip_to(&mut tx, epoch.number()).await?;
        let mut taken_back = 0;
        loop {
            let heads = sweeps::expired_leases(&mut tx, Timestamp::MAX, CLAIMS_BATCH).await?;
            self.step_all(&mut tx, Actor::Broker, &heads, |_| Some(Event::Restored), now)
                .await?;
            taken_back += heads.len() as u64;
            if heads.len() < CLAIMS_BATCH as usize {
                break;
            }
        }
        let waiting_at_most_once = restores::waiting_at_most_once(&mut tx).await?;
        let details = json!({"claims_taken_back": taken_back});
        let fact = self.own_fact(now, "database.restored", epoch.number(), details);
        audit::insert(&mut tx, &[fact]).await?;
        tx.commit().await?;
        Ok(Restored {
            epoch,
            taken_back,
            waiting_at_most_once,
        })
    }
}
