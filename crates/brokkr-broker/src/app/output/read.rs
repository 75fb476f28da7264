use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;

use super::Position;
use crate::app::App;
use crate::app::work_orders::ReadError;
use crate::dal::output::{self, Chunk};
use crate::dal::{Tx, log, work_orders};

/// Some of the output of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPage {
    /// Whose output it is; [`Attempt::NONE`] when there was no attempt yet.
    pub attempt: Attempt,
    /// In the order in which it was printed.
    pub pieces: Vec<OutputPiece>,
    /// Where to read on.
    pub next: u64,
    /// Whether this is all that there will ever be of this attempt.
    pub complete: bool,
    /// The latest attempt of the order, and how the order ended if it has.
    pub(super) order: OrderNow,
}

/// A piece of output. A text: agents replace what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// The attempt that printed it.
    pub attempt: Attempt,
    /// Bytes of the attempt's output before it.
    pub offset: u64,
    /// `stdout`, `stderr` or `system`.
    pub stream: String,
    /// When it was printed, by the agent's clock.
    pub at: Timestamp,
    /// The text.
    pub text: String,
}

impl OutputPiece {
    /// Where the next piece begins.
    #[must_use]
    pub const fn end(&self) -> Position {
        Position {
            attempt: self.attempt,
            offset: self.offset + self.text.len() as u64,
        }
    }
}

/// As much of an order as tells whether more output can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OrderNow {
    pub(super) latest: Attempt,
    pub(super) claimed: bool,
    pub(super) ending: Option<Ending>,
}

impl OrderNow {
    /// Whether nothing will be added to an attempt any more.
    pub(super) fn is_over(self, attempt: Attempt) -> bool {
        self.ending.is_some()
            || attempt < self.latest
            || (attempt == self.latest && attempt > Attempt::NONE && !self.claimed)
    }
}

impl App {
    /// At most `limit` pieces of an attempt's output from `after` on: of the latest attempt, if none is named.
    ///
    /// # Errors
    /// [`ReadError::Absent`] when there is no such order.
    pub async fn output(
        &self,
        id: WorkOrderId,
        attempt: Option<Attempt>,
        after: u64,
        limit: u32,
    ) -> Result<OutputPage, ReadError> {
        let mut tx = self.db.read().await?;
        // The order first: what it says to be over has all its output when that is read.
        let order = order_now(&mut tx, id).await?;
        page(
            &mut tx,
            id,
            order,
            Position {
                attempt: attempt.unwrap_or(order.latest),
                offset: after,
            },
            limit,
        )
        .await
    }
}

/// As much output as is read backwards at once, and in so many chunks at most.
const BYTES_BEFORE: u64 = 256 * 1_024;
const CHUNKS_BEFORE: u32 = 10_000;

impl App {
    /// Some 256 KiB of an attempt's output that end at a place, in the order in which they were printed; nothing at its beginning.
    ///
    /// # Errors
    /// [`ReadError::Absent`] when there is no such order.
    pub async fn output_before(&self, id: WorkOrderId, end: Position) -> Result<Vec<OutputPiece>, ReadError> {
        let Position { attempt, offset } = end;
        let mut tx = self.db.read().await?;
        order_now(&mut tx, id).await?;
        let chunks = output::before(&mut tx, id, attempt, offset, BYTES_BEFORE, CHUNKS_BEFORE).await?;
        let pieces = chunks
            .into_iter()
            .filter_map(|chunk| piece(until(chunk, offset), attempt, 0));
        Ok(pieces.collect())
    }
}

/// The part of a chunk before `end`, up to the last whole character.
fn until(mut chunk: Chunk, end: u64) -> Chunk {
    let kept = usize::try_from(end.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
    if kept < chunk.data.len() {
        let whole = (0..=kept).rev().find(|at| !continues(chunk.data[*at]));
        chunk.data.truncate(whole.unwrap_or(0));
    }
    chunk
}

/// Whether it is no first byte of a character in UTF-8.
const fn continues(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Looks into the queue first: an order that ends meanwhile is found in the log then.
pub(super) async fn order_now(tx: &mut Tx, id: WorkOrderId) -> Result<OrderNow, ReadError> {
    if let Some(head) = work_orders::heads_of(tx, &[id]).await?.pop() {
        let claimed = head.claim.is_some();
        return Ok(OrderNow {
            latest: head.attempt(),
            claimed,
            ending: None,
        });
    }
    let (_, latest, ending) = log::endings(tx, &[id]).await?.pop().ok_or(ReadError::Absent)?;
    Ok(OrderNow {
        latest,
        claimed: false,
        ending: Some(ending),
    })
}

pub(super) async fn page(
    tx: &mut Tx,
    id: WorkOrderId,
    order: OrderNow,
    from: Position,
    limit: u32,
) -> Result<OutputPage, ReadError> {
    let Position {
        attempt,
        offset: after,
    } = from;
    let chunks = output::page(tx, id, attempt, after, limit).await?;
    let all = chunks.len() < limit as usize;
    let next = chunks
        .last()
        .map_or(after, |last| last.offset + last.data.len() as u64);
    let pieces = chunks
        .into_iter()
        .filter_map(|chunk| piece(chunk, attempt, after))
        .collect();
    Ok(OutputPage {
        attempt,
        pieces,
        next,
        complete: all && order.is_over(attempt),
        order,
    })
}

/// The part of a chunk from `after` on, from the next whole character.
fn piece(mut chunk: Chunk, attempt: Attempt, after: u64) -> Option<OutputPiece> {
    let skipped = usize::try_from(after.saturating_sub(chunk.offset))
        .unwrap_or(usize::MAX)
        .min(chunk.data.len());
    let skipped = if skipped == 0 {
        0
    } else {
        skipped
            + chunk.data[skipped..]
                .iter()
                .take_while(|byte| continues(**byte))
                .count()
    };
    let data = chunk.data.split_off(skipped);
    let text = String::from_utf8(data)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let (stream, at) = (chunk.stream, chunk.at);
    (!text.is_empty()).then_some(OutputPiece {
        attempt,
        offset: chunk.offset + skipped as u64,
        stream,
        at,
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_on_in_the_middle_of_a_chunk_begins_with_a_whole_character() {
        let chunk = |data: &str| Chunk {
            offset: 10,
            stream: "stdout".to_owned(),
            at: Timestamp::from_micros(0),
            data: data.as_bytes().to_vec(),
        };
        let read =
            |data, after| piece(chunk(data), Attempt::new(1), after).map(|piece| (piece.offset, piece.text));
        assert_eq!(read("aüb", 10), Some((10, "aüb".to_owned())));
        assert_eq!(read("aüb", 12), Some((13, "b".to_owned())));
        assert_eq!(read("aüb", 14), None);
        let before = |data, end| until(chunk(data), end).data;
        assert_eq!(before("aüb", 14), "aüb".as_bytes());
        assert_eq!(before("aüb", 13), "aü".as_bytes());
        assert_eq!(before("aüb", 12), b"a");
        assert_eq!(before("aüb", 9), b"");
    }
}
