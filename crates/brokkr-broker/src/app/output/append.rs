use std::collections::HashMap;

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::time::Timestamp;

use crate::app::App;
use crate::app::coalescer::{Batch, Commit};
use crate::dal::output::{self, NewChunk};
use crate::dal::{DalError, Tx, work_orders};

/// The stream of remarks that agent and broker make.
const SYSTEM: &str = "system";

/// Why a chunk was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The attempt is not one that the agent holds.
    #[error("the attempt is not the agent's current one")]
    StaleAttempt,
    /// Something before it is missing.
    #[error("output before this chunk is missing from byte {expected} on")]
    Gap {
        /// Where the stored output ends.
        expected: u64,
    },
    /// The attempt has printed as much as is stored; a marker says so.
    #[error("the output of an attempt is stored up to {bytes_max} bytes")]
    Limit {
        /// The bound.
        bytes_max: u64,
    },
}

/// One attempt's output while chunks are added to it.
struct Tail {
    end: u64,
    bytes_max: u64,
}

impl App {
    /// Appends output of attempts that an agent holds, in one transaction with what others print at the same time. Each chunk is stored or refused on its own; one
    /// that is stored already is fine.
    ///
    /// # Errors
    /// When none could be stored.
    pub async fn append_output(
        &self,
        agent: AgentId,
        chunks: Vec<NewChunk>,
    ) -> Result<Vec<Result<(), AppendError>>, DalError> {
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let request = Printed { agent, chunks };
        self.coalescers
            .output
            .submit(&Appends(self.clone()), request)
            .await
    }
}

/// Appending output, that of many agents in one transaction.
#[derive(Clone)]
pub(in crate::app) struct Appends(App);

/// What one agent's work printed.
pub(in crate::app) struct Printed {
    agent: AgentId,
    chunks: Vec<NewChunk>,
}

/// The output that is about to be stored, and what it is judged by.
struct Tails {
    held: HashMap<WorkOrderId, (AgentId, Attempt)>,
    ends: HashMap<WorkOrderId, Tail>,
    new: Vec<NewChunk>,
}

impl Batch for Appends {
    type Request = Printed;
    type Answer = Vec<Result<(), AppendError>>;
    type Key = ();

    const NAME: &'static str = "append output";
    const DONE_FOR_NOBODY: bool = true;

    /// A thousand bytes take about as long as a row.
    fn weight(request: &Printed) -> usize {
        let bytes: usize = request.chunks.iter().map(|chunk| chunk.data.len()).sum();
        request.chunks.len() + bytes / 1_000
    }

    fn keys(_: &Printed) -> Vec<()> {
        Vec::new()
    }

    async fn run(&self, requests: &[Printed], commit: &Commit) -> Result<Vec<Self::Answer>, DalError> {
        let Self(app) = self;
        let mut tx = app.db.begin().await?;
        let chunks = requests.iter().flat_map(|request| &request.chunks);
        let mut tails = Tails::of(&mut tx, chunks, app.limits.output_bytes_max).await?;
        let verdicts = requests.iter().map(|request| tails.take_all(request)).collect();
        let of_agent = |chunk: &NewChunk| tails.held.get(&chunk.id).map(|(agent, _)| *agent);
        let new = tails
            .new
            .iter()
            .filter_map(|chunk| Some((of_agent(chunk)?, chunk)));
        let stored = output::append_many(&mut tx, new).await?;
        debug_assert_eq!(
            stored.len(),
            tails.new.len(),
            "the orders are locked, so every chunk finds its place"
        );
        commit.of(tx).await?;
        app.followers.tell(stored.into_iter().map(|(id, _, _)| id));
        Ok(verdicts)
    }
}

impl Tails {
    /// Locks the orders, so that no attempt ends between the look and the append, and no two appends are judged by one length.
    async fn of<'c>(
        tx: &mut Tx,
        chunks: impl Iterator<Item = &'c NewChunk>,
        bytes_max: u64,
    ) -> Result<Self, DalError> {
        let ids: Vec<_> = chunks.map(|chunk| chunk.id).collect();
        let heads = work_orders::get_for_update(tx, &ids).await?;
        let held: HashMap<_, _> = heads
            .iter()
            .filter_map(|head| Some((head.id, (head.claim.as_ref()?.agent, head.attempt()))))
            .collect();
        let mut ends: HashMap<_, _> = held.keys().map(|id| (*id, Tail { end: 0, bytes_max })).collect();
        let attempts = held.iter().map(|(id, (_, attempt))| (*id, *attempt));
        for (id, _, end) in output::lengths(tx, attempts).await? {
            ends.insert(id, Tail { end, bytes_max });
        }
        let new = Vec::new();
        Ok(Self { held, ends, new })
    }

    fn take_all(&mut self, request: &Printed) -> Vec<Result<(), AppendError>> {
        let take = |chunk: &NewChunk| match self.ends.get_mut(&chunk.id) {
            Some(tail) if self.held.get(&chunk.id) == Some(&(request.agent, chunk.attempt)) => {
                tail.take(chunk.clone(), &mut self.new)
            }
            _ => Err(AppendError::StaleAttempt),
        };
        request.chunks.iter().map(take).collect()
    }
}

impl Tail {
    /// Takes what is new of a chunk into `new`.
    fn take(&mut self, chunk: NewChunk, new: &mut Vec<NewChunk>) -> Result<(), AppendError> {
        let limit = AppendError::Limit {
            bytes_max: self.bytes_max,
        };
        let chunk_end = chunk.offset.saturating_add(chunk.data.len() as u64);
        // With its marker, full output is longer than it may be.
        if self.end > self.bytes_max {
            return if chunk_end <= self.bytes_max {
                Ok(())
            } else {
                Err(limit)
            };
        }
        if chunk.offset > self.end {
            return Err(AppendError::Gap { expected: self.end });
        }
        if chunk_end <= self.end {
            return Ok(());
        }
        let known = usize::try_from(self.end - chunk.offset)
            .unwrap_or(usize::MAX)
            .min(chunk.data.len());
        let room = usize::try_from(self.bytes_max - self.end).unwrap_or(usize::MAX);
        let fits = whole_characters(&chunk.data[known..], room);
        let full = known + fits < chunk.data.len();
        let (id, attempt, at) = (chunk.id, chunk.attempt, chunk.at);
        if fits > 0 {
            let data = chunk.data[known..known + fits].to_vec();
            new.push(NewChunk {
                offset: self.end,
                data,
                ..chunk
            });
            self.end += fits as u64;
        }
        if !full {
            return Ok(());
        }
        new.push(self.marker(id, attempt, at));
        Err(limit)
    }

    /// Says where the stored output ends although there was more.
    fn marker(&mut self, id: WorkOrderId, attempt: Attempt, at: Timestamp) -> NewChunk {
        let text = format!(
            "\n[output limit of {} bytes reached: what follows was not stored]\n",
            self.bytes_max
        );
        let offset = self.end;
        self.end += text.len() as u64;
        NewChunk {
            id,
            attempt,
            offset,
            stream: SYSTEM.to_owned(),
            at,
            data: text.into_bytes(),
        }
    }
}

/// The most bytes of `data`, up to `room`, that do not cut a character in two.
fn whole_characters(data: &[u8], room: usize) -> usize {
    if data.len() <= room {
        return data.len();
    }
    let continues = |at: &usize| data[*at] & 0b1100_0000 == 0b1000_0000;
    (0..=room).rev().find(|at| !continues(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn chunk(offset: u64, data: &str) -> NewChunk {
        NewChunk {
            id: WorkOrderId::new(Uuid::nil()),
            attempt: Attempt::new(1),
            offset,
            stream: "stdout".to_owned(),
            at: Timestamp::from_micros(0),
            data: data.as_bytes().to_vec(),
        }
    }

    fn texts(chunks: &[NewChunk]) -> Vec<(u64, String)> {
        chunks
            .iter()
            .map(|chunk| (chunk.offset, String::from_utf8(chunk.data.clone()).unwrap()))
            .collect()
    }

    #[test]
    fn what_is_stored_already_is_left_out_however_it_is_cut() {
        let mut tail = Tail {
            end: 0,
            bytes_max: 100,
        };
        let mut new = Vec::new();
        tail.take(chunk(0, "hello "), &mut new).unwrap();
        tail.take(chunk(0, "hello "), &mut new).unwrap();
        tail.take(chunk(3, "lo world"), &mut new).unwrap();
        assert_eq!(texts(&new), [(0, "hello ".to_owned()), (6, "world".to_owned())]);
    }

    #[test]
    fn a_gap_is_refused_with_the_place_where_to_go_on() {
        let mut tail = Tail {
            end: 4,
            bytes_max: 100,
        };
        assert!(matches!(
            tail.take(chunk(5, "x"), &mut Vec::new()),
            Err(AppendError::Gap { expected: 4 })
        ));
    }

    #[test]
    fn full_output_ends_with_one_marker_and_no_half_character() {
        let mut tail = Tail { end: 0, bytes_max: 4 };
        let mut new = Vec::new();
        assert!(tail.take(chunk(0, "abcü"), &mut new).is_err());
        assert!(tail.take(chunk(0, "abcü"), &mut new).is_err());
        assert!(tail.take(chunk(5, "more"), &mut new).is_err());
        assert!(tail.take(chunk(0, "abc"), &mut new).is_ok());
        assert_eq!(new.len(), 2);
        assert_eq!(texts(&new)[0], (0, "abc".to_owned()));
        assert_eq!(new[1].stream, SYSTEM);
    }
}
