//! An agent from its start to its end.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::future::{Future, pending};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::alive::Pulse;
use crate::attempt::AttemptId;
use crate::availability::Availability;
use crate::backoff::Backoff;
use crate::broker::{Broker, CallError};
use crate::claim::Claimer;
use crate::condition::Condition;
use crate::config::AgentConfig;
use crate::durable;
use crate::execute::command::{CommandConfig, CommandExecutor};
use crate::execute::{Executor, Executors};
use crate::guard::{GuardError, IdentityGuard};
use crate::journal::{FileJournal, Journal};
use crate::kube::Cluster;
use crate::lease::{Held, LeaseKeeper};
use crate::output::OutputSender;
use crate::probe::ClusterProbe;
use crate::report::{self, ReportSender, Reporter};
use crate::schedule::{AlwaysOpen, Openings, Schedule};
use crate::shutdown::Shutdown;
use crate::stop::StopReason;
use crate::work::Workshop;

/// How long, beyond the grace, attempts that were stopped may take to be reported.
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// How soon a renewal that failed is tried again, at first and at most.
const RENEW_AGAIN_FIRST: Duration = Duration::from_millis(200);
const RENEW_AGAIN_LONGEST: Duration = Duration::from_secs(5);
/// One request renews this many.
const SLOTS_MAX: usize = 1000;

/// Why an agent cannot start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The state directory cannot be used.
    #[error("could not use the state directory {}", path.display())]
    State {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has the state directory.
    #[error("another agent process uses the state directory {}; give each agent its own", .0.display())]
    StateInUse(PathBuf),
    /// The broker does not know the PAK, or does not let it in.
    #[error("the broker refused the agent's PAK")]
    Credential(#[source] CallError),
    /// The PAK is somebody else's.
    #[error("the PAK is not an agent's; create an agent and use the PAK that this prints")]
    NotAnAgent,
    /// There can be only one process for each agent.
    #[error(
        "a newer process of this agent has taken over, so this one ended; give each process an agent of its own"
    )]
    Superseded(#[source] CallError),
    /// The right to serve the agent cannot be had.
    #[error("could not make sure that no other process serves this agent")]
    Guard(#[source] GuardError),
    /// Another process has taken the right to serve the agent.
    #[error("{0} serves this agent now, so this process ended; give each process an agent of its own")]
    TakenOver(String),
}

/// Why an agent stops working although nobody asked it to.
enum Usurped {
    /// The broker said so.
    AtBroker(CallError),
    /// The guard did, and names the other process.
    AtGuard(String),
}

/// An agent that has not started yet.
pub struct Agent {
    config: AgentConfig,
    executors: Executors,
    openings: Arc<dyn Openings>,
    guard: Option<Arc<dyn IdentityGuard>>,
    cluster: Option<Cluster>,
    journal: Option<Arc<dyn Journal>>,
}

impl Agent {
    /// An agent with an executor for commands.
    ///
    /// # Errors
    /// When the state directory cannot be made.
    pub fn new(config: AgentConfig) -> Result<Self, AgentError> {
        let commands = CommandConfig {
            supervisor: config.supervisor.clone(),
            state_dir: config.state_dir.join("commands"),
            grace: config.grace,
            output_bytes_max: config.output_bytes_max,
            retention: config.retention,
        };
        let executor = CommandExecutor::new(commands, config.policy.clone(), Arc::clone(&config.clock))
            .map_err(|source| AgentError::State {
                path: config.state_dir.clone(),
                source,
            })?;
        Ok(Self {
            executors: Executors::default().with(executor),
            openings: Arc::new(AlwaysOpen),
            guard: None,
            cluster: None,
            journal: None,
            config,
        })
    }

    /// The same agent, which claims only when these rules let it.
    #[must_use]
    pub fn with_openings(mut self, openings: Arc<dyn Openings>) -> Self {
        self.openings = openings;
        self
    }

    /// The same agent, which works only while it has this right.
    #[must_use]
    pub fn with_guard(mut self, guard: impl IdentityGuard + 'static) -> Self {
        self.guard = Some(Arc::new(guard));
        self
    }

    /// The same agent, which tells the broker whether it reaches this cluster.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// The same agent, which keeps endings here and not in its state directory.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// The same agent with one more executor.
    #[must_use]
    pub fn with_executor(mut self, executor: impl Executor + 'static) -> Self {
        self.executors = self.executors.with(executor);
        self
    }

    /// Works until it is told to stop, or a newer process takes over. When this returns nothing runs any more, except what
    /// would not be killed, and every ending is either answered or on disk. When it is dropped before, commands go on, and
    /// the next agent with the same state directory finds them.
    ///
    /// # Errors
    /// When it cannot start, or was superseded.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), AgentError> {
        let _lock = lock(&self.config.state_dir)?;
        let pulse = Pulse::new(&self.config.state_dir, Arc::clone(&self.config.clock));
        let Some(id) = pulse.beat_while("starting", self.identify(&shutdown)).await? else {
            return Ok(());
        };
        let guard = self.guard.clone();
        if let Some(guard) = &guard {
            tokio::select! {
                acquired = pulse.beat_while("waiting for another process", guard.acquire(id)) => {
                    acquired.map_err(AgentError::Guard)?;
                }
                () = shutdown.draining() => return Ok(()),
            }
        }
        info!(agent.id = %id, slots = self.config.slots, "the agent works");
        let result = self.work(id, shutdown, pulse).await;
        if let Some(guard) = guard {
            guard.release().await;
        }
        result
    }

    /// Asks the broker who this is, until it answers. Nothing when the agent is told to stop before that.
    async fn identify(&self, shutdown: &Shutdown) -> Result<Option<Uuid>, AgentError> {
        let mut backoff = self.backoff(0);
        loop {
            let asked = tokio::select! {
                asked = Broker::identify(&self.config.client) => asked,
                () = shutdown.draining() => return Ok(None),
            };
            let error = match asked {
                Ok(Some(id)) => return Ok(Some(id)),
                Ok(None) => return Err(AgentError::NotAnAgent),
                Err(error) if error.is_denied() => return Err(AgentError::Credential(error)),
                Err(error) => error,
            };
            let wait = backoff.next(error.retry_after());
            warn!(%error, wait_seconds = wait.as_secs_f64(), "could not ask the broker who this agent is");
            tokio::select! {
                () = sleep(wait) => {}
                () = shutdown.draining() => return Ok(None),
            }
        }
    }

    async fn work(self, id: Uuid, shutdown: Shutdown, pulse: Pulse) -> Result<(), AgentError> {
        let config = &self.config;
        let broker = Arc::new(Broker::new(config.client.clone(), id, config.instance_id.clone()));
        let (reporter, reports, ended) = self.reporting(&broker)?;
        let (outputs, output_sender) = OutputSender::new(Arc::clone(&broker), config.jitter_seed ^ 2);
        let held = Held::new();
        let (condition, condition_seen) = watch::channel(Condition::new());
        let keeper = LeaseKeeper {
            broker: Arc::clone(&broker),
            held: Arc::clone(&held),
            lease_seconds: config.lease_seconds,
            backoff: Backoff::new(config.jitter_seed ^ 3, RENEW_AGAIN_FIRST, RENEW_AGAIN_LONGEST),
            condition: condition_seen,
            reports: true,
            pulse,
        };
        let abandoned = CancellationToken::new();
        let _abandon_on_drop = abandoned.clone().drop_guard();
        let workshop = Arc::new(Workshop {
            broker,
            held: Arc::clone(&held),
            executors: self.executors.clone(),
            policy: config.policy.clone(),
            outputs,
            reporter,
            lease_seconds: config.lease_seconds,
            shutdown: shutdown.clone(),
            abandoned,
        });

        // Dropped, and with it ended, when this function returns.
        let mut senders = JoinSet::new();
        senders.spawn(output_sender.run());
        senders.spawn(reports.run());
        self.probe(&workshop.broker)
            .map(|probe| senders.spawn(probe.run()));
        let claimer = self.claimer(workshop, ended, condition.clone(), &mut senders);
        let usurped = tokio::select! {
            error = keeper.run() => Usurped::AtBroker(error),
            holder = self.guard_lost() => Usurped::AtGuard(holder),
            result = self.claim_and_finish(claimer, &held, &condition, &shutdown) => match result {
                Ok(()) => return Ok(()),
                Err(error) => Usurped::AtBroker(error),
            },
        };
        // The other process may be on another host and know nothing of the work that runs here.
        held.stop_all(StopReason::Superseded);
        self.until_nothing_is_held(&held).await;
        Err(match usurped {
            Usurped::AtBroker(error) => AgentError::Superseded(error),
            Usurped::AtGuard(holder) => AgentError::TakenOver(holder),
        })
    }

    async fn guard_lost(&self) -> String {
        match &self.guard {
            Some(guard) => guard.lost().await,
            None => pending().await,
        }
    }

    fn probe(&self, broker: &Arc<Broker>) -> Option<ClusterProbe> {
        Some(ClusterProbe {
            cluster: self.cluster.clone()?,
            broker: Arc::clone(broker),
            interval: self.config.cluster_report,
        })
    }

    fn reporting(
        &self,
        broker: &Arc<Broker>,
    ) -> Result<(Reporter, ReportSender, HashSet<AttemptId>), AgentError> {
        let directory = self.config.state_dir.join("endings");
        let journal = match &self.journal {
            Some(journal) => Ok(Arc::clone(journal)),
            None => FileJournal::open(&directory).map(|journal| Arc::new(journal) as _),
        };
        journal
            .and_then(|journal| report::open(Arc::clone(broker), journal, self.config.jitter_seed ^ 1))
            .map_err(|source| AgentError::State {
                path: directory,
                source,
            })
    }

    fn claimer(
        &self,
        workshop: Arc<Workshop>,
        ended: HashSet<AttemptId>,
        condition: watch::Sender<Condition>,
        tasks: &mut JoinSet<()>,
    ) -> Claimer {
        let mut work_types = workshop.work_types();
        work_types.retain(|work_type| self.openings.permits(work_type));
        if work_types.is_empty() {
            warn!("the agent's policy allows no work at all, so it will not claim any");
        }
        let (known, unavailable) = watch::channel(None);
        let availability = Availability {
            executors: self.executors.clone(),
            work_types: work_types.clone(),
            again: self.config.look_again,
            known,
        };
        tasks.spawn(availability.run());
        Claimer {
            workshop,
            schedule: Schedule {
                openings: Arc::clone(&self.openings),
                clock: Arc::clone(&self.config.clock),
                slots: self.config.slots.clamp(1, SLOTS_MAX),
                look_again: self.config.look_again,
            },
            condition,
            work_types,
            unavailable,
            wait_seconds: self.config.wait_seconds,
            backoff: self.backoff(4),
            tidy_at: Instant::now() + self.config.orphan_window,
            ended,
        }
    }

    async fn claim_and_finish(
        &self,
        claimer: Claimer,
        held: &Held,
        condition: &watch::Sender<Condition>,
        shutdown: &Shutdown,
    ) -> Result<(), CallError> {
        claimer.run().await?;
        condition.send_modify(Condition::drain);
        info!(
            attempts = held.count(),
            "the agent claims no more and lets its work finish"
        );
        tokio::select! {
            () = nothing_held(held) => return Ok(()),
            () = shutdown.stopping() => {}
        }
        info!(attempts = held.count(), "the agent stops its work");
        held.stop_all(StopReason::Shutdown);
        self.until_nothing_is_held(held).await;
        Ok(())
    }

    async fn until_nothing_is_held(&self, held: &Held) {
        if timeout(self.config.grace + STOP_LIMIT, nothing_held(held))
            .await
            .is_err()
        {
            warn!(attempts = held.count(), "some attempts did not end in time");
        }
    }

    fn backoff(&self, salt: u64) -> Backoff {
        Backoff::new(
            self.config.jitter_seed ^ salt,
            Duration::from_millis(250),
            Duration::from_secs(30),
        )
    }
}

fn nothing_held(held: &Held) -> impl Future<Output = ()> {
    let mut changed = held.watch();
    async move {
        while held.count() > 0 {
            // The sender lives as long as `held`.
            let _ = changed.changed().await;
        }
    }
}

/// Keeps other agents away from the directory for as long as the file is open.
fn lock(state_dir: &Path) -> Result<File, AgentError> {
    let state_error = |source| AgentError::State {
        path: state_dir.to_owned(),
        source,
    };
    durable::ensure_directory(state_dir).map_err(state_error)?;
    let path = state_dir.join("lock");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(state_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AgentError::StateInUse(state_dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(state_error(source)),
    }
}
