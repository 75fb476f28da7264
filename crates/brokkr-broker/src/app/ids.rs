//! New ids: UUIDv7 from the broker's clock, in the order in which they were asked for.

use std::sync::{Mutex, PoisonError};

use brokkr_core::ids::uuid_v7;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use super::random::Random;

/// Makes ids that sort by age within one broker, even when many are made in one microsecond.
#[derive(Debug, Default)]
pub struct Ids {
    latest: Mutex<(i64, u16)>,
}

impl Ids {
    /// A new id for something that was accepted at `now`.
    #[must_use]
    pub fn next(&self, now: Timestamp, random: &dyn Random) -> Uuid {
        let (micros, sequence) = {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            *latest = match *latest {
                (micros, _) if now.as_micros() > micros => (now.as_micros(), 0),
                (micros, u16::MAX) => (micros + 1, 0),
                (micros, sequence) => (micros, sequence + 1),
            };
            *latest
        };
        let mut bytes = [0_u8; 6];
        random.fill(&mut bytes);
        uuid_v7(Timestamp::from_micros(micros), sequence, bytes)
    }
}
