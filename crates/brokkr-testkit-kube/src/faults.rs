//! What goes wrong on demand, and what was asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::status::Status;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads all objects of a resource.
    List,
    /// Follows the changes of a resource.
    Watch,
    /// Makes an object by `POST`.
    Create,
    /// Replaces an object by `PUT`.
    Update,
    /// Changes an object by any patch but server-side apply.
    Patch,
    /// Makes or changes an object by server-side apply.
    Apply,
    /// Deletes one object.
    Delete,
    /// Deletes all objects of a resource.
    DeleteCollection,
    /// Reads a container's log; the resource is `pods`.
    Log,
    /// Reads anything that is no resource; the resource is the path, as `/apis`.
    Discover,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// What it does.
    pub verb: Verb,
    /// The plural; behind it, but for logs, the subresource: `jobs/status`.
    pub resource: String,
    /// Absent for all namespaces, and for what is in none.
    pub namespace: Option<String>,
    /// The object, also when only the body names it.
    pub name: Option<String>,
    /// What follows the question mark, decoded.
    pub query: BTreeMap<String, String>,
    /// Null when there was none.
    pub body: Value,
}

/// Something that goes wrong with matching requests: until told otherwise 500, always.
#[derive(Debug, Clone)]
#[must_use]
pub struct Fault {
    verb: Verb,
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
    effect: Effect,
    skipped: u32,
    times: u32,
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Answer(Status),
    Hang,
    Cut,
    LoseAnswer,
    CutAfter(usize),
}

impl Fault {
    /// Requests of `verb` for `resource`, as [`Request`] names it; `*` is every resource.
    pub fn on(verb: Verb, resource: &str) -> Self {
        Self {
            verb,
            resource: resource.to_owned(),
            namespace: None,
            name: None,
            effect: Effect::Answer(Status::of_code(
                500,
                "the server has fallen over, as the test wants it",
            )),
            skipped: 0,
            times: u32::MAX,
        }
    }

    /// Only in this namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only for the object of this name.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The request is answered with this HTTP status, and a `Status` with the reason that usually comes with it.
    pub fn status(mut self, code: u16) -> Self {
        self.effect = Effect::Answer(Status::of_code(code, format!("the test answers {code}")));
        self
    }

    /// The `Status` has this reason instead of its usual one.
    pub fn reason(mut self, reason: &str) -> Self {
        if let Effect::Answer(status) = self.effect {
            self.effect = Effect::Answer(status.because(reason));
        }
        self
    }

    /// The answer asks the client to come back in so many seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        if let Effect::Answer(status) = self.effect {
            self.effect = Effect::Answer(status.retry_after(seconds));
        }
        self
    }

    /// Nothing happens until the fault is removed; then the request goes on as if nothing had been.
    pub fn hang(mut self) -> Self {
        self.effect = Effect::Hang;
        self
    }

    /// The connection is cut, and the request not done.
    pub fn cut(mut self) -> Self {
        self.effect = Effect::Cut;
        self
    }

    /// The request is done, and the connection cut before the answer.
    pub fn lose_answer(mut self) -> Self {
        self.effect = Effect::LoseAnswer;
        self
    }

    /// The connection is cut after so many bytes of the answer's body.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.effect = Effect::CutAfter(bytes);
        self
    }

    /// So many matching requests pass unharmed before.
    pub fn after(mut self, requests: u32) -> Self {
        self.skipped = requests;
        self
    }

    /// Only so many requests are met.
    pub fn times(mut self, requests: u32) -> Self {
        self.times = requests;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        let is = |wanted: &Option<String>, real: &Option<String>| wanted.is_none() || wanted == real;
        self.verb == request.verb
            && (self.resource == "*" || self.resource == request.resource)
            && is(&self.namespace, &request.namespace)
            && is(&self.name, &request.name)
    }
}

/// A fault that was handed to the cluster. It stays there when this is dropped.
#[derive(Debug)]
pub struct ActiveFault {
    removed: CancellationToken,
    met: watch::Receiver<u32>,
}

impl ActiveFault {
    /// Takes the fault away, and lets go of what hangs in it.
    pub fn remove(&self) {
        self.removed.cancel();
    }

    /// How many requests it has met.
    pub fn met(&self) -> u32 {
        *self.met.borrow()
    }

    /// Waits until it has met so many requests. The caller bounds the wait.
    pub async fn until_met(&mut self, requests: u32) {
        // It fails only when the cluster is gone, and then nothing waits for requests any more.
        let _ = self.met.wait_for(|met| *met >= requests).await;
    }
}

/// All faults, and all requests. All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    faults: Vec<Entry>,
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Entry {
    fault: Fault,
    seen: u32,
    met: watch::Sender<u32>,
    removed: CancellationToken,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> ActiveFault {
        let (met, receiver) = watch::channel(0);
        let removed = CancellationToken::new();
        self.lock().faults.push(Entry {
            fault,
            seen: 0,
            met,
            removed: removed.clone(),
        });
        ActiveFault {
            removed,
            met: receiver,
        }
    }

    pub(crate) fn clear(&self) {
        for entry in self.lock().faults.drain(..) {
            entry.removed.cancel();
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// Records a request, and says what becomes of it. The first fault that matches counts; the token ends a hang.
    pub(crate) fn meet(&self, request: Request) -> Option<(Effect, CancellationToken)> {
        let mut book = self.lock();
        book.faults.retain(|entry| !entry.removed.is_cancelled());
        let effect = book.faults.iter_mut().find_map(|entry| entry.meet(&request));
        book.requests.push(request);
        effect
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn meet(&mut self, request: &Request) -> Option<(Effect, CancellationToken)> {
        let met = *self.met.borrow();
        if met >= self.fault.times || !self.fault.matches(request) {
            return None;
        }
        self.seen += 1;
        if self.seen <= self.fault.skipped {
            return None;
        }
        self.met.send_replace(met + 1);
        Some((self.fault.effect.clone(), self.removed.clone()))
    }
}
