//! An executor that does as a test wants it to.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use brokkr_agent::StopReason;
use brokkr_agent::attempt::Claim;
use brokkr_agent::execute::{Context, Executor, LookupError, Outcome};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Does work of one type, each of which lasts until it is let go or stopped.
#[derive(Clone)]
pub(crate) struct Double {
    work_type: &'static str,
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct Doing {
    running: AtomicUsize,
    /// The most that ever ran at the same time.
    most: AtomicUsize,
    gate: Semaphore,
    unavailable: Mutex<Option<&'static str>>,
    pub(crate) stopped: Mutex<Vec<StopReason>>,
}

impl Double {
    pub(crate) fn new(work_type: &'static str) -> Self {
        let doing = Doing {
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            unavailable: Mutex::default(),
            stopped: Mutex::default(),
        };
        Self {
            work_type,
            doing: Arc::new(doing),
        }
    }

    /// Lets everything end, also what comes later.
    pub(crate) fn let_go(&self) {
        self.doing.gate.close();
    }

    pub(crate) fn running(&self) -> usize {
        self.doing.running.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.doing.most.load(Ordering::SeqCst)
    }

    pub(crate) fn set_unavailable(&self, reason: Option<&'static str>) {
        *self.doing.unavailable.lock().unwrap() = reason;
    }
}

#[async_trait]
impl Executor for Double {
    fn work_type(&self) -> &str {
        self.work_type
    }

    async fn available(&self) -> Result<(), String> {
        match *self.doing.unavailable.lock().unwrap() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(()),
        }
    }

    async fn execute(&self, _claim: &Claim, context: Context) -> Outcome {
        let running = self.doing.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.doing.most.fetch_max(running, Ordering::SeqCst);
        let outcome = tokio::select! {
            // The gate never gives anything out, it is only closed.
            _ = self.doing.gate.acquire() => Outcome::Success { message: None, exit_code: None, result: None },
            reason = context.stop.requested() => {
                self.doing.stopped.lock().unwrap().push(reason);
                Outcome::Left { message: "it goes on".to_owned() }
            }
        };
        self.doing.running.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    async fn holds(&self, _claim: &Claim, _attempt: i64) -> Result<bool, LookupError> {
        Ok(false)
    }

    async fn adopt(&self, claim: &Claim, _attempt: i64, context: Context) -> Outcome {
        self.execute(claim, context).await
    }

    async fn settled(&self, _claim: &Claim, _accepted: bool) {}

    async fn tidy(&self, _agent: Uuid, _held: &BTreeSet<Uuid>) {}
}
