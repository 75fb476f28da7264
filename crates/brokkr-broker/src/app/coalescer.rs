//! Requests of one kind, gathered while others of that kind are being done, and then done together.
//!
//! There is no timer: the first request goes at once, and whatever comes while it is under way goes with the next batch. So an
//! idle broker answers without delay, and under load many requests share one transaction and its write to the disk. Once a whole
//! batch waits there is nothing to gain by waiting longer, and it goes beside the one under way, if the database takes both.

use std::any::Any;
use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tracing::error;

use crate::dal::{DalError, Tx};

/// A kind of request that is done in batches.
pub(crate) trait Batch: Clone + Send + Sync + 'static {
    /// What one caller asks for.
    type Request: Send + Sync + 'static;
    /// What one caller gets, whatever became of the requests beside its own.
    type Answer: Send + 'static;
    /// What a request is about. Two requests about the same thing are never in one batch.
    type Key: Eq + Hash + Send;

    /// Names the kind in errors.
    const NAME: &'static str;
    /// Whether a request is still done after its caller has gone.
    const DONE_FOR_NOBODY: bool;

    /// How much of a batch's bound the request takes: about the rows that it writes.
    fn weight(request: &Self::Request) -> usize;

    /// What the request is about; nothing where requests cannot get into each other's way.
    fn keys(request: &Self::Request) -> Vec<Self::Key>;

    /// Does all requests in one transaction, which is committed through `commit`, and answers each, in their order.
    ///
    /// # Errors
    /// When none of them was done, or when nobody knows.
    fn run(
        &self,
        requests: &[Self::Request],
        commit: &Commit,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, DalError>> + Send;

    /// Takes care of an answer whose caller has gone.
    fn undelivered(&self, _answer: Self::Answer) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Knows whether a batch may have been kept, and so must not be tried again.
#[derive(Debug, Default)]
pub(crate) struct Commit(AtomicBool);

impl Commit {
    /// Commits the batch's transaction.
    ///
    /// # Errors
    /// As [`Tx::commit`].
    pub(crate) async fn of(&self, tx: Tx) -> Result<(), DalError> {
        self.begin();
        tx.commit().await
    }

    fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How much may gather.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most requests that wait; one more is refused.
    pub(crate) waiting_max: usize,
    /// The most weight of one batch. A request that is heavier by itself goes alone.
    pub(crate) weight_max: usize,
    /// The most batches under way at a time; a second one goes only when it is full.
    pub(crate) running_max: usize,
}

/// Gathers the requests of one kind.
pub(crate) struct Coalescer<B: Batch> {
    bounds: Bounds,
    queue: Arc<Mutex<Queue<B>>>,
}

struct Queue<B: Batch> {
    waiting: VecDeque<Waiting<B>>,
    /// Of all that wait.
    weight: usize,
    /// How many batches are under way, and what they are about.
    running: usize,
    in_hand: HashSet<B::Key>,
}

struct Waiting<B: Batch> {
    request: B::Request,
    weight: usize,
    caller: oneshot::Sender<Result<B::Answer, DalError>>,
}

impl<B: Batch> Coalescer<B> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            weight: 0,
            running: 0,
            in_hand: HashSet::new(),
        };
        Self {
            bounds,
            queue: Arc::new(Mutex::new(queue)),
        }
    }

    /// Has the request done, with others that are there. A caller that goes away takes nothing from them.
    ///
    /// # Errors
    /// [`DalError::Overrun`] when too many wait already; otherwise as the batch, and when the batch failed for a reason that
    /// may lie in another request, as the request done alone.
    pub(crate) async fn submit(&self, batch: &B, request: B::Request) -> Result<B::Answer, DalError> {
        let (caller, answer) = oneshot::channel();
        {
            let mut queue = lock(&self.queue);
            if queue.waiting.len() >= self.bounds.waiting_max {
                return Err(DalError::Overrun { operation: B::NAME });
            }
            queue.add(request, caller);
            if queue.running == 0
                || queue.running < self.bounds.running_max && queue.weight >= self.bounds.weight_max
            {
                queue.running += 1;
                // Of its own, so that no caller that goes away takes the batch with it.
                tokio::spawn(drain(
                    batch.clone(),
                    Arc::clone(&self.queue),
                    self.bounds.weight_max,
                ));
            }
        }
        answer
            .await
            .unwrap_or(Err(DalError::Aborted { operation: B::NAME }))
    }
}

fn lock<B: Batch>(queue: &Mutex<Queue<B>>) -> MutexGuard<'_, Queue<B>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does batches until nothing waits that may go now.
async fn drain<B: Batch>(batch: B, queue: Arc<Mutex<Queue<B>>>, weight_max: usize) {
    loop {
        let taken = {
            let mut queue = lock(&queue);
            let taken = queue.take(weight_max);
            if taken.is_empty() {
                queue.running -= 1;
                return;
            }
            taken
        };
        let (requests, callers): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .map(|waiting| (waiting.request, waiting.caller))
            .unzip();
        let answers = answers(&batch, &requests).await;
        lock(&queue).put_down(&requests);
        for (caller, answer) in callers.into_iter().zip(answers) {
            if let Err(Ok(answer)) = caller.send(answer) {
                batch.undelivered(answer).await;
            }
        }
    }
}

impl<B: Batch> Queue<B> {
    fn add(&mut self, request: B::Request, caller: oneshot::Sender<Result<B::Answer, DalError>>) {
        let weight = B::weight(&request);
        self.weight += weight;
        self.waiting.push_back(Waiting {
            request,
            weight,
            caller,
        });
    }

    /// What goes next: from the front, up to the bound and to the first that has to wait for one before it.
    fn take(&mut self, weight_max: usize) -> Vec<Waiting<B>> {
        let mut taken = Vec::new();
        let mut weight = 0;
        while let Some(next) = self.waiting.pop_front() {
            self.weight -= next.weight;
            if next.caller.is_closed() && !B::DONE_FOR_NOBODY {
                continue;
            }
            let own = B::keys(&next.request);
            let light = taken.is_empty() || weight + next.weight <= weight_max;
            if !light || own.iter().any(|key| self.in_hand.contains(key)) {
                self.weight += next.weight;
                self.waiting.push_front(next);
                break;
            }
            weight += next.weight;
            self.in_hand.extend(own);
            taken.push(next);
        }
        taken
    }

    fn put_down(&mut self, requests: &[B::Request]) {
        for key in requests.iter().flat_map(B::keys) {
            self.in_hand.remove(&key);
        }
    }
}

async fn answers<B: Batch>(batch: &B, requests: &[B::Request]) -> Vec<Result<B::Answer, DalError>> {
    let commit = Commit::default();
    match attempt(batch, requests, &commit).await {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) if requests.len() == 1 => vec![Err(error)],
        // It may have been done, or the database is away for all of them alike.
        Err(error) if commit.begun() || error.transient() => shared(error, requests.len()),
        Err(_) => {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                let alone = attempt(batch, std::slice::from_ref(request), &Commit::default()).await;
                answers.push(
                    alone.and_then(|mut answers| {
                        answers.pop().ok_or(DalError::Aborted { operation: B::NAME })
                    }),
                );
            }
            answers
        }
    }
}

fn shared<A>(error: DalError, callers: usize) -> Vec<Result<A, DalError>> {
    let error = Arc::new(error);
    (0..callers)
        .map(|_| Err(DalError::InBatch(Arc::clone(&error))))
        .collect()
}

async fn attempt<B: Batch>(
    batch: &B,
    requests: &[B::Request],
    commit: &Commit,
) -> Result<Vec<B::Answer>, DalError> {
    let answers = AssertUnwindSafe(batch.run(requests, commit)).catch_unwind().await;
    match answers {
        Ok(Ok(answers)) if answers.len() == requests.len() => Ok(answers),
        Ok(Ok(_)) => Err(DalError::Aborted { operation: B::NAME }),
        Ok(Err(error)) => Err(error),
        Err(panic) => {
            error!(panic = words(&*panic), "a batch of {} panicked", B::NAME);
            Err(DalError::Aborted { operation: B::NAME })
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("for no reason that it told")
}

#[cfg(test)]
mod tests;
