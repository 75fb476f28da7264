//! An agent to test, with everything it needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::clock::SystemClock;
use brokkr_agent::policy::AgentPolicy;
use brokkr_agent::{Agent, AgentConfig, AgentError, Shutdown, ShutdownTrigger};
use brokkr_api::PakText;
use brokkr_client::{Client, ClientConfig};
use nix::sys::signal::Signal::SIGKILL;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::broker::FakeBroker;

/// The shortest lease there is, so that losing one takes seconds.
pub(crate) const LEASE_SECONDS: i64 = 5;
const PATIENCE: Duration = Duration::from_secs(60);
/// Far longer than a process takes to run its own program, and short enough for tests of two agents in one directory.
const INHERITED_LOCK_LIMIT: Duration = Duration::from_secs(1);

/// Where agents keep their state and commands leave traces.
pub(crate) struct Host {
    directory: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn config(&self, broker: &FakeBroker) -> AgentConfig {
        let url = broker.url.parse().unwrap();
        let client =
            Client::new(ClientConfig::new(url).with_pak(PakText::new("brokkr_BRtest_test"))).unwrap();
        let supervisor = vec![env!("CARGO_BIN_EXE_brokkr-command-supervisor").into()];
        let instance = "test-instance".to_owned();
        let defaults = AgentConfig::new(
            client,
            instance,
            7,
            Arc::new(SystemClock),
            self.state_dir(),
            supervisor,
        );
        AgentConfig {
            policy: AgentPolicy {
                allow_commands: true,
                work_types: None,
            },
            lease_seconds: LEASE_SECONDS,
            wait_seconds: 1,
            grace: Duration::from_secs(2),
            ..defaults
        }
    }

    pub(crate) fn start(&self, broker: &FakeBroker) -> RunningAgent {
        RunningAgent::start(self.config(broker))
    }

    /// The number that a command wrote into a file.
    pub(crate) async fn number_in(&self, name: &str) -> i32 {
        let path = self.path(name);
        eventually(name, || std::fs::read_to_string(&path).ok()?.trim().parse().ok()).await
    }

    /// Whether any command still has its directory.
    pub(crate) fn commands(&self) -> usize {
        std::fs::read_dir(self.state_dir().join("commands")).map_or(0, Iterator::count)
    }

    pub(crate) fn journaled(&self) -> usize {
        std::fs::read_dir(self.state_dir().join("endings")).map_or(0, Iterator::count)
    }
}

/// Nothing may go on running when a test is over, however it ended.
impl Drop for Host {
    fn drop(&mut self) {
        let commands = std::fs::read_dir(self.state_dir().join("commands"))
            .into_iter()
            .flatten()
            .flatten();
        for started in commands.filter_map(|command| std::fs::read(command.path().join("started.json")).ok())
        {
            let group: serde_json::Value = serde_json::from_slice(&started).unwrap_or_default();
            if let Some(leader) = group["leader"].as_i64() {
                let _ = killpg(Pid::from_raw(leader as i32), SIGKILL);
            }
        }
    }
}

pub(crate) struct RunningAgent {
    pub(crate) trigger: ShutdownTrigger,
    task: JoinHandle<Result<(), AgentError>>,
}

impl RunningAgent {
    pub(crate) fn start(config: AgentConfig) -> Self {
        Self::start_with(config, |agent| agent)
    }

    /// Starts an agent that was given more than its configuration.
    pub(crate) fn start_with(
        config: AgentConfig,
        equip: impl FnOnce(Agent) -> Agent + Send + 'static,
    ) -> Self {
        let (trigger, shutdown) = Shutdown::new();
        let task = tokio::spawn(async move {
            unlocked(&config.state_dir).await;
            let ended = equip(Agent::new(config)?).run(shutdown).await;
            if let Err(error) = &ended {
                // Seen only when the test fails, and then it may be why.
                eprintln!("the agent ended: {error}");
            }
            ended
        });
        Self { trigger, task }
    }

    /// Ends the agent as `kill -9` would: nothing is stopped, reported or given back.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Waits for the agent to end by itself.
    pub(crate) async fn ended(self) -> Result<(), AgentError> {
        timeout(PATIENCE, self.task)
            .await
            .expect("the agent should end")
            .unwrap()
    }
}

/// Waits until no killed agent has the state directory any more. A process that is started at the moment of the kill inherits
/// the lock until it runs its own program; real agents do not start others that often.
async fn unlocked(state_dir: &Path) {
    let Ok(lock) = std::fs::File::open(state_dir.join("lock")) else {
        return;
    };
    let limit = Instant::now() + INHERITED_LOCK_LIMIT;
    while Instant::now() < limit {
        if lock.try_lock().is_ok() {
            // Closing the file would leave it locked if it were inherited just now.
            return lock.unlock().unwrap();
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for something that nobody announces, such as a file.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "waited in vain for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process runs. One that has ended but that nobody has waited for does not.
pub(crate) fn runs(process: i32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"))
        .unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) async fn gone(process: i32) {
    eventually("the end of a process", || (!runs(process)).then_some(())).await;
}
