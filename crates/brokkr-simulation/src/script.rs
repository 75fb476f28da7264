//! What the work of each attempt does, by seed.

use std::time::Duration;

use brokkr_agent::attempt::AttemptId;
use brokkr_api::FailureClass;

use crate::dice::Dice;

/// How work goes when nobody stops it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    /// Between being told to start and starting.
    pub(crate) preparation: Duration,
    pub(crate) duration: Duration,
    /// The class of its failure; none for a success.
    pub(crate) failure: Option<FailureClass>,
    /// Between being told to stop and having stopped.
    pub(crate) stopping: Duration,
}

impl Script {
    /// The script of this attempt.
    pub(crate) fn of(dice: &Dice, id: AttemptId) -> Self {
        let mut dice = dice.of(&id.to_string());
        let preparation = match dice.per_mille(100) {
            true => dice.millis(500..6_000),
            false => dice.millis(1..100),
        };
        let duration = match dice.below(10) {
            0..4 => dice.millis(10..2_000),
            4..8 => dice.millis(2_000..15_000),
            _ => dice.millis(15_000..50_000),
        };
        let failure = match dice.below(20) {
            0..3 => Some(FailureClass::Infrastructure),
            3..5 => Some(FailureClass::Work),
            _ => None,
        };
        let stopping = match dice.per_mille(150) {
            true => dice.millis(1_000..12_000),
            false => dice.millis(1..500),
        };
        Self {
            preparation,
            duration,
            failure,
            stopping,
        }
    }
}
