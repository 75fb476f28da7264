//! What the work printed.
//!
//! Positions are bytes of UTF-8 from the start of an attempt's output, all its streams together.
//!
//! The live stream is server-sent events: [`event::OUTPUT`] with an [`OutputPiece`], whose id is the [`OutputPosition`]
//! after the piece, and one [`event::ENDED`] with an [`OutputEnded`] at its end; a comment at least every 15 seconds
//! while there is nothing to tell. A stream that stops without its end was interrupted, and is resumed with the header
//! `Last-Event-ID`, which outweighs `after`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::texts::Stream;
use crate::whole;
use crate::{Ending, Problem, Time};

/// The names of the streams.
pub mod stream {
    /// What the work wrote to its standard output.
    pub const STDOUT: &str = "stdout";
    /// What the work wrote to its standard error.
    pub const STDERR: &str = "stderr";
    /// Remarks of agent and broker, such as the marker of a gap.
    pub const SYSTEM: &str = "system";
}

/// The names of the events of the live stream.
pub mod event {
    /// A piece of output.
    pub const OUTPUT: &str = "output";
    /// No more will come.
    pub const ENDED: &str = "ended";
}

/// Appends output to attempts that the agent holds. Sending a chunk again changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppendOutput {
    /// 1 to 1,000 chunks. Those of one attempt come in the order of their offsets.
    #[schema(min_items = 1, max_items = 1000)]
    pub chunks: Vec<OutputChunk>,
}

/// One piece of output of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputChunk {
    /// The work order.
    pub id: Uuid,
    /// The attempt.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    #[serde(deserialize_with = "whole::number")]
    pub attempt: i64,
    /// Bytes of the attempt's output before this chunk.
    #[schema(minimum = 0)]
    #[serde(deserialize_with = "whole::number")]
    pub offset: i64,
    /// `stdout`, `stderr` or `system`.
    #[schema(value_type = Stream, example = "stdout")]
    pub stream: String,
    /// When the work wrote it, by the agent's clock.
    pub at: Time,
    /// The text. Bytes that are not UTF-8 were replaced by the agent.
    pub data: String,
}

/// What became of each chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputAppended {
    /// One item for each chunk of the request, in its order.
    pub items: Vec<OutputAppendedItem>,
}

/// What became of one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputAppendedItem {
    /// The work order.
    pub id: Uuid,
    /// The attempt.
    pub attempt: i64,
    /// The offset of the chunk.
    pub offset: i64,
    /// 200 when it is stored, now or before; 409 `stale_attempt`; 413 `output_limit`, when nothing more will be stored.
    #[schema(example = 200)]
    pub status: u16,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<Problem>,
}

/// Which part of the output to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OutputQuery {
    /// Only this attempt. Without it: the latest one, and in the live stream also those that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    pub attempt: Option<i64>,
    /// Bytes of the attempt's output to leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0, default = 0)]
    pub after: Option<i64>,
    /// How many pieces at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 500)]
    pub limit: Option<i64>,
}

/// Some of the output of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputPage {
    /// Whose output it is, 0 when there was no attempt yet.
    pub attempt: i64,
    /// In the order in which it was written.
    pub chunks: Vec<OutputPiece>,
    /// What to send as `after` to read on.
    pub next: i64,
    /// Whether this is all there will ever be of this attempt.
    pub complete: bool,
}

/// One piece of output, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputPiece {
    /// The attempt that wrote it.
    pub attempt: i64,
    /// Bytes of the attempt's output before this piece.
    pub offset: i64,
    /// `stdout`, `stderr` or `system`.
    #[schema(example = "stdout")]
    pub stream: String,
    /// When the work wrote it, by the agent's clock.
    pub at: Time,
    /// The text.
    pub data: String,
}

impl OutputPiece {
    /// Where the next piece starts.
    pub fn end(&self) -> OutputPosition {
        let length = i64::try_from(self.data.len()).unwrap_or(i64::MAX);
        OutputPosition {
            attempt: self.attempt,
            offset: self.offset.saturating_add(length),
        }
    }
}

/// The end of a live stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputEnded {
    /// The last attempt, 0 when there was none.
    pub attempt: i64,
    /// How the work order ended; null when only the attempt that was asked for has.
    #[schema(required = true)]
    pub ending: Option<Ending>,
}

/// A place in the output of a work order, written `attempt:offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputPosition {
    /// The attempt.
    pub attempt: i64,
    /// Bytes of its output before the place.
    pub offset: i64,
}

/// A text that is not an [`OutputPosition`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPositionError;

impl fmt::Display for OutputPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.attempt, self.offset)
    }
}

impl fmt::Display for OutputPositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a place in the output such as 1:2048")
    }
}

impl std::error::Error for OutputPositionError {}

impl FromStr for OutputPosition {
    type Err = OutputPositionError;

    fn from_str(text: &str) -> Result<OutputPosition, OutputPositionError> {
        let (attempt, offset) = text.split_once(':').ok_or(OutputPositionError)?;
        let number = |text: &str| text.parse().ok().filter(|n| 0 <= *n).ok_or(OutputPositionError);
        Ok(OutputPosition {
            attempt: number(attempt)?,
            offset: number(offset)?,
        })
    }
}
