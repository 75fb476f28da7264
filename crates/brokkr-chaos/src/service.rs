//! A broker or an agent that is started again whenever it is gone, as a service manager would.

use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::process::{Launch, Process};

const LOOK: Duration = Duration::from_millis(300);

/// One service. Whoever does something to it holds it meanwhile.
#[derive(Debug)]
pub(crate) struct Service {
    launch: Launch,
    process: Mutex<Option<Process>>,
    exits: Mutex<Vec<String>>,
}

impl Service {
    pub(crate) fn new(launch: Launch) -> Service {
        Service {
            launch,
            process: Mutex::new(None),
            exits: Mutex::new(Vec::new()),
        }
    }

    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        start(&self.launch, &mut *self.process.lock().await)
    }

    /// Kills it, does something while it is gone, and starts it. Nothing when somebody else is at it.
    pub(crate) async fn kill(&self, meanwhile: impl Future<Output = ()>) -> anyhow::Result<bool> {
        let Ok(mut process) = self.process.try_lock() else {
            return Ok(false);
        };
        // Dropping it kills it.
        *process = None;
        meanwhile.await;
        start(&self.launch, &mut process)?;
        Ok(true)
    }

    /// Stops it for some time. Nothing when somebody else is at it.
    pub(crate) async fn pause(&self, time: Duration) -> bool {
        let Ok(process) = self.process.try_lock() else {
            return false;
        };
        signal(&process, Signal::SIGSTOP);
        sleep(time).await;
        signal(&process, Signal::SIGCONT);
        true
    }

    /// Starts it again whenever it has ended by itself.
    pub(crate) async fn tend(&self) -> anyhow::Result<()> {
        loop {
            sleep(LOOK).await;
            let mut process = self.process.lock().await;
            if let Some(status) = process.as_mut().and_then(Process::ended) {
                self.exits
                    .lock()
                    .await
                    .push(format!("{}: {status}", self.launch.name));
                start(&self.launch, &mut process)?;
            }
        }
    }

    /// How it ended by itself, each time.
    pub(crate) async fn exits(&self) -> Vec<String> {
        self.exits.lock().await.clone()
    }
}

fn signal(process: &MutexGuard<'_, Option<Process>>, signal: Signal) {
    if let Some(process) = process.as_ref() {
        process.signal(signal);
    }
}

fn start(launch: &Launch, process: &mut Option<Process>) -> anyhow::Result<()> {
    *process = Some(Process::start(launch).with_context(|| format!("could not start {}", launch.name))?);
    Ok(())
}
