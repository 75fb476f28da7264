//! The place of one agent: its host, its process there, and perhaps a second process elsewhere with the same identity.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_agent::policy::AgentPolicy;
use brokkr_agent::{Agent, AgentConfig, Shutdown, ShutdownTrigger};
use brokkr_api::PakText;
use brokkr_client::{Client, ClientConfig};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::{HostClock, SimulatedClock};
use crate::dice::Dice;
use crate::executor::ScriptedExecutor;
use crate::host::Host;
use crate::network::{Network, Wire};
use crate::record::Record;

/// Where the broker would be.
const URL: &str = "http://broker.simulated";
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// What all seats share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: SimulatedClock,
    pub(crate) record: Record,
    pub(crate) network: Arc<Network>,
    pub(crate) seed: Dice,
    /// Where processes keep what the simulation does not look at.
    pub(crate) directory: PathBuf,
}

/// How an agent is configured.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) slots: usize,
    pub(crate) lease_seconds: i64,
}

/// One agent's place.
pub(crate) struct Seat {
    pub(crate) name: String,
    pak: PakText,
    terms: Terms,
    surroundings: Surroundings,
    state: Mutex<State>,
}

struct State {
    host: Host,
    hosts: u32,
    starts: u32,
    process: Option<Process>,
    twin: Option<(Host, Process)>,
}

struct Process {
    trigger: ShutdownTrigger,
    task: JoinHandle<()>,
}

/// A client that goes by this wire.
pub(crate) fn client(wire: Wire, pak: &PakText) -> anyhow::Result<Client> {
    let mut config = ClientConfig::new(URL.parse()?).with_pak(pak.clone());
    config.request_timeout = REQUEST_LIMIT;
    config.carrier = Some(Arc::new(wire));
    Ok(Client::new(config)?)
}

impl Seat {
    pub(crate) fn new(name: &str, pak: PakText, terms: Terms, surroundings: Surroundings) -> Self {
        let host = host(name, &surroundings);
        Self {
            name: name.to_owned(),
            pak,
            terms,
            surroundings,
            state: Mutex::new(State {
                host,
                hosts: 1,
                starts: 0,
                process: None,
                twin: None,
            }),
        }
    }

    /// Starts the agent, unless it runs.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        if state
            .process
            .as_ref()
            .is_some_and(|process| !process.task.is_finished())
        {
            return Ok(());
        }
        state.starts += 1;
        let process = self.launch(&state.host.clone(), state.starts)?;
        state.process = Some(process);
        Ok(())
    }

    /// Ends the process as `kill -9` does: its work goes on, and so does what it has on disk.
    pub(crate) fn kill(&self) {
        let process = self.state().process.take();
        if let Some(process) = process {
            process.task.abort();
            self.note("is killed; its work goes on");
        }
    }

    /// The host is lost with everything on it; the next process starts on another one.
    pub(crate) fn lose_host(&self) {
        self.kill();
        let mut state = self.state();
        self.surroundings
            .record
            .note(format!("{:<9} is lost with its disk", state.host.name()));
        state.host.go_down();
        state.hosts += 1;
        let name = format!("{}-{}", self.name, state.hosts);
        state.host = host(&name, &self.surroundings);
    }

    /// Asks the process to stop, in two steps, and waits for it; it is killed when it takes too long.
    pub(crate) async fn drain(&self, patience: Duration) {
        let process = self.state().process.take();
        let Some(process) = process else { return };
        self.note("is asked to stop");
        process.trigger.escalate();
        let mut task = process.task;
        if timeout(patience, &mut task).await.is_err() {
            process.trigger.escalate();
            if timeout(patience, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Starts a second process of the same agent on another host.
    pub(crate) fn start_twin(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        if state.twin.is_some() {
            return Ok(());
        }
        state.hosts += 1;
        state.starts += 1;
        let host = host(&format!("{}-{}", self.name, state.hosts), &self.surroundings);
        let process = self.launch(&host, state.starts)?;
        state.twin = Some((host, process));
        Ok(())
    }

    /// Ends the second process together with its host.
    pub(crate) fn end_twin(&self) {
        let twin = self.state().twin.take();
        if let Some((host, process)) = twin {
            process.task.abort();
            self.surroundings
                .record
                .note(format!("{:<9} is lost with its disk", host.name()));
            host.go_down();
        }
    }

    /// Sets the host's clock wrong.
    pub(crate) fn step_clock(&self, millis: i64) {
        self.note(&format!("has its clock set by {millis} ms"));
        self.state().host.clock().step(millis);
    }

    /// The name of the host that the agent is on now.
    pub(crate) fn host_name(&self) -> String {
        self.state().host.name().to_owned()
    }

    fn note(&self, what: &str) {
        let name = self.host_name();
        self.surroundings.record.note(format!("{name:<9} {what}"));
    }

    fn launch(&self, host: &Host, number: u32) -> anyhow::Result<Process> {
        let Surroundings {
            record,
            network,
            seed,
            directory,
            ..
        } = &self.surroundings;
        let client = client(network.wire(host.name()), &self.pak)?;
        let instance = format!("{}-{number}", self.name);
        let defaults = AgentConfig::new(
            client,
            instance.clone(),
            seed.of(&instance).next(),
            Arc::new(host.clock().clone()),
            directory.join(&instance),
            Vec::new(),
        );
        let config = AgentConfig {
            policy: AgentPolicy {
                allow_commands: false,
                work_types: None,
            },
            slots: self.terms.slots,
            lease_seconds: self.terms.lease_seconds,
            wait_seconds: 10,
            grace: Duration::from_secs(3),
            orphan_window: Duration::from_secs(20),
            ..defaults
        };
        let agent = Agent::new(config)?
            .with_executor(ScriptedExecutor(host.clone()))
            .with_journal(Arc::new(host.clone()));
        let (trigger, shutdown) = Shutdown::new();
        let (record, name) = (record.clone(), host.name().to_owned());
        record.note(format!("{name:<9} starts {instance}"));
        let task = tokio::spawn(async move {
            match agent.run(shutdown).await {
                Ok(()) => record.note(format!("{name:<9} has stopped {instance}")),
                Err(error) => record.note(format!("{name:<9} gives up {instance}: {error}")),
            }
        });
        Ok(Process { trigger, task })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn host(name: &str, surroundings: &Surroundings) -> Host {
    Host::new(
        name.to_owned(),
        HostClock::new(surroundings.clock),
        surroundings.record.clone(),
        &surroundings.seed,
    )
}
