//! What the work prints.
//!
//! Positions are bytes of one attempt's output, all its streams together. The agent names the position of each chunk, so
//! sending one again is harmless and leaving one out is noticed.

mod append;
mod follow;
mod read;

use brokkr_core::attempt::Attempt;

pub use self::append::AppendError;
pub(super) use self::append::Appends;
pub use self::follow::{FollowFrom, OutputEvent, OutputEvents};
pub use self::read::{OutputPage, OutputPiece};
pub use crate::dal::output::NewChunk;

/// A place in the output of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The attempt.
    pub attempt: Attempt,
    /// Bytes of its output before the place.
    pub offset: u64,
}
