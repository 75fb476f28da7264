//! Stopping an agent in two steps: first it claims no more and lets its work finish, then it stops what still runs.

use tokio::sync::watch;

/// How urgently the agent was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    Drain,
    Stop,
}

/// The side that asks the agent to stop. Dropping it asks for nothing.
#[derive(Debug, Clone)]
pub struct ShutdownTrigger(watch::Sender<Urgency>);

impl ShutdownTrigger {
    /// Asks for the next step: the first call lets work finish, the second stops it. Further calls change nothing.
    pub fn escalate(&self) {
        self.0.send_modify(|urgency| {
            *urgency = match urgency {
                Urgency::None => Urgency::Drain,
                Urgency::Drain | Urgency::Stop => Urgency::Stop,
            }
        });
    }
}

/// The side that the agent listens on.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Urgency>);

impl Shutdown {
    /// A pair of which nothing has been asked yet.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(Urgency::None);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Completes once the agent shall claim no more.
    pub async fn draining(&self) {
        self.reached(Urgency::Drain).await;
    }

    /// Completes once the agent shall stop what still runs.
    pub async fn stopping(&self) {
        self.reached(Urgency::Stop).await;
    }

    async fn reached(&self, least: Urgency) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|urgency| *urgency >= least).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
