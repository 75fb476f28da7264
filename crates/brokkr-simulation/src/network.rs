//! The network between everybody and the broker. It loses, delays, repeats and reorders, and it can be cut.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use brokkr_client::{Carriage, Carrier, NotCarried};
use http::{Request, Response};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

use crate::dice::{Dice, SharedDice};
use crate::observe::{Sent, observe};
use crate::record::Record;

const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long nobody notices that a host does not answer any more.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What the network does to messages, in so many cases out of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Noise {
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) slow: u64,
}

/// The network. It knows where the broker is.
pub(crate) struct Network {
    record: Record,
    dice: SharedDice,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    noise: Noise,
    broker: Option<Router>,
    /// What the broker is working on.
    handlers: Vec<AbortHandle>,
    cut_until: BTreeMap<String, Instant>,
}

/// What becomes of one message.
#[derive(Debug, Clone, Copy)]
struct Fate {
    delay: Duration,
    lost: bool,
}

type Answer = Response<Vec<u8>>;

impl Network {
    pub(crate) fn new(record: Record, dice: Dice) -> Arc<Self> {
        Arc::new(Self {
            record,
            dice: SharedDice::new(dice),
            state: Mutex::default(),
        })
    }

    pub(crate) fn set_noise(&self, noise: Noise) {
        self.state().noise = noise;
    }

    /// From now on the broker can be reached.
    pub(crate) fn attach(&self, router: Router) {
        self.state().broker = Some(router);
    }

    /// From now on there is no broker, and what it was working on stops where it is.
    pub(crate) fn detach(&self) {
        let mut state = self.state();
        state.broker = None;
        for handler in state.handlers.drain(..) {
            handler.abort();
        }
    }

    /// Nothing gets through between this host and the broker for so long.
    pub(crate) fn cut(&self, host: &str, duration: Duration) {
        self.record.note(format!(
            "network   cuts {host} off for {:.3} s",
            duration.as_secs_f64()
        ));
        self.state()
            .cut_until
            .insert(host.to_owned(), Instant::now() + duration);
    }

    /// Everybody reaches the broker again.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.noise = Noise::default();
        state.cut_until.clear();
    }

    /// Carries from `host`, with all that may happen on the way.
    pub(crate) fn wire(self: &Arc<Self>, host: &str) -> Wire {
        Wire {
            network: Arc::clone(self),
            host: Some(host.to_owned()),
        }
    }

    /// Carries at once, whatever happens to others.
    pub(crate) fn direct_wire(self: &Arc<Self>) -> Wire {
        Wire {
            network: Arc::clone(self),
            host: None,
        }
    }

    fn fate(&self) -> Fate {
        let Noise { lost, slow, .. } = self.state().noise;
        let mut dice = self.dice.throw();
        let delay = match dice.per_mille(slow) {
            true => dice.millis(50..4_000),
            false => dice.millis(1..8),
        };
        let lost = dice.per_mille(lost);
        Fate { delay, lost }
    }

    fn is_cut(&self, host: &str) -> bool {
        self.state()
            .cut_until
            .get(host)
            .is_some_and(|until| Instant::now() < *until)
    }

    /// There will be no answer: the one who waits finds that out soon, or never.
    async fn silence(&self) -> NotCarried {
        let (noticed, after) = {
            let mut dice = self.dice.throw();
            (dice.per_mille(500), dice.millis(1..500))
        };
        if !noticed {
            std::future::pending::<()>().await;
        }
        sleep(after).await;
        NotCarried::NoAnswer
    }

    async fn carry(self: &Arc<Self>, host: &str, request: Request<Vec<u8>>) -> Result<Answer, NotCarried> {
        let path = request.uri().path().to_owned();
        if self.is_cut(host) && self.dice.throw().per_mille(500) {
            sleep(CONNECT_LIMIT).await;
            return Err(NotCarried::NeverSent);
        }
        let there = self.fate();
        self.repeat(host, &request);
        sleep(there.delay).await;
        if there.lost || self.is_cut(host) {
            self.tell_lost(host, "request", &path, there.lost);
            return Err(self.silence().await);
        }
        let answer = self.deliver(host, request)?;
        let mut hang_up = HangUp::of(self, answer.handler);
        let Ok(answer) = answer.done.await else {
            return Err(NotCarried::NoAnswer);
        };
        hang_up.handler = None;
        let back = self.fate();
        sleep(back.delay).await;
        if back.lost || self.is_cut(host) {
            self.tell_lost(host, "answer", &path, back.lost);
            return Err(self.silence().await);
        }
        Ok(answer)
    }

    fn tell_lost(&self, host: &str, what: &str, path: &str, by_chance: bool) {
        if by_chance {
            let shown = path.rsplit('/').next().unwrap_or(path);
            self.record
                .note(format!("network   loses the {what} of {host} ({shown})"));
        }
    }

    /// Perhaps lets the same request arrive a second time, at another moment.
    fn repeat(self: &Arc<Self>, host: &str, request: &Request<Vec<u8>>) {
        let repeated = self.state().noise.repeated;
        let mut dice = self.dice.throw();
        if !dice.per_mille(repeated) {
            return;
        }
        let delay = dice.millis(1..3_000);
        let (network, host, request) = (Arc::clone(self), host.to_owned(), request.clone());
        tokio::spawn(async move {
            sleep(delay).await;
            if network.is_cut(&host) {
                return;
            }
            let shown = request.uri().path().rsplit('/').next().unwrap_or_default();
            network
                .record
                .note(format!("network   repeats a request of {host} ({shown})"));
            if let Ok(answer) = network.deliver(&host, request) {
                let _ = answer.done.await;
            }
        });
    }

    fn deliver(&self, host: &str, request: Request<Vec<u8>>) -> Result<Delivered, NotCarried> {
        let mut state = self.state();
        let Some(router) = state.broker.clone() else {
            return Err(NotCarried::NeverSent);
        };
        let (answered, done) = oneshot::channel();
        let (record, host) = (self.record.clone(), host.to_owned());
        let handler = tokio::spawn(async move {
            let (head, body) = request.into_parts();
            let sent = Sent::of(&head, &body);
            let request = Request::from_parts(head, Body::from(body));
            let Ok(answer) = router.oneshot(request).await;
            let (head, body) = answer.into_parts();
            let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
                return;
            };
            observe(&record, &host, &sent, head.status, &body);
            let _ = answered.send(Response::from_parts(head, body.to_vec()));
        });
        let handler = handler.abort_handle();
        state.handlers.retain(|handler| !handler.is_finished());
        state.handlers.push(handler.clone());
        Ok(Delivered { done, handler })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Delivered {
    done: oneshot::Receiver<Answer>,
    handler: AbortHandle,
}

/// Lets the broker notice, some time later, that nobody waits for its answer any more.
struct HangUp {
    network: Arc<Network>,
    handler: Option<AbortHandle>,
}

impl HangUp {
    fn of(network: &Arc<Network>, handler: AbortHandle) -> Self {
        Self {
            network: Arc::clone(network),
            handler: Some(handler),
        }
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        if let (Some(handler), Ok(runtime)) = (self.handler.take(), tokio::runtime::Handle::try_current()) {
            let after = self.network.dice.throw().millis(1..300);
            runtime.spawn(async move {
                sleep(after).await;
                handler.abort();
            });
        }
    }
}

/// One host's way to the broker.
#[derive(Clone)]
pub(crate) struct Wire {
    network: Arc<Network>,
    host: Option<String>,
}

impl Carrier for Wire {
    fn carry(&self, request: Request<Vec<u8>>) -> Carriage<'_> {
        Box::pin(async move {
            match &self.host {
                Some(host) => self.network.carry(host, request).await,
                None => {
                    let answer = self.network.deliver("inspector", request)?;
                    answer.done.await.map_err(|_| NotCarried::NoAnswer)
                }
            }
        })
    }
}
