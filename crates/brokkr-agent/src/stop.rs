//! Telling one attempt to stop, and why.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Why an attempt has to stop before its work has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Somebody asked the broker to cancel the order.
    Cancelled,
    /// The broker took the attempt back, or could not be reached for so long that it may have.
    LeaseLost,
    /// The attempt ran for as long as it may.
    Deadline,
    /// The agent is stopping and does not wait any longer.
    Shutdown,
    /// Another process serves the agent now, and holds what this one held.
    Superseded,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "the order was cancelled",
            Self::LeaseLost => "the lease was lost",
            Self::Deadline => "the deadline passed",
            Self::Shutdown => "the agent was stopped",
            Self::Superseded => "another process serves the agent now",
        })
    }
}

/// The side that tells an attempt to stop. The first reason stands.
#[derive(Debug, Clone)]
pub struct StopHandle(Arc<watch::Sender<Option<StopReason>>>);

impl StopHandle {
    /// A handle and the signal that it gives.
    pub fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(None);
        (Self(Arc::new(sender)), StopSignal(receiver))
    }

    /// Tells the attempt to stop. Says whether this is the first time.
    pub fn stop(&self, reason: StopReason) -> bool {
        self.0.send_if_modified(|stored| match stored {
            Some(_) => false,
            None => {
                *stored = Some(reason);
                true
            }
        })
    }
}

/// The side on which an attempt hears that it has to stop.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<Option<StopReason>>);

impl StopSignal {
    /// The reason, once there is one.
    pub fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }

    /// Completes when the attempt has to stop; never when nobody can tell it to any more.
    pub async fn requested(&self) -> StopReason {
        let mut receiver = self.0.clone();
        let heard = receiver
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|reason| *reason);
        match heard {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}
