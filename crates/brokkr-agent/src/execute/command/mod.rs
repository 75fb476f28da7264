//! Commands: one process on this host for each order of type `command`.
//!
//! Every command runs under a [supervisor], which outlives the agent. So an agent that was killed finds its commands again,
//! running or ended, with all their output and their true exit status. Only a supervisor that was itself killed leaves the
//! outcome unknown; then what is left of the command is stopped, and the broker learns nothing but that the lease passed.

mod directory;
mod ending;
mod follow;
mod process;
mod spool;
pub mod supervisor;
mod text;
mod tidy;

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brokkr_api::FailureClass;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::attempt::{AttemptId, Claim};
use crate::clock::Clock;
use crate::document;
use crate::durable;
use crate::execute::command::directory::{Condition, Directory, End};
use crate::execute::command::follow::Follow;
use crate::execute::command::spool::Caps;
use crate::execute::command::supervisor::Launch;
use crate::execute::{Context, Executor, LookupError, Outcome, sibling};
use crate::policy::{AgentPolicy, COMMAND};

/// The variables of the agent that commands see too. All others, among them its credentials, they do not.
const PASSED_ON: [&str; 10] = [
    "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
];

/// Written and removed again to see whether commands can be begun.
const PROBE: &str = "probe";
/// What the records of one command take, several times over.
const PROBE_BYTES: usize = 64 * 1024;

/// How commands are run.
#[derive(Debug, Clone)]
pub struct CommandConfig {
    /// The words that start a supervisor; the directory follows as one more word. The program has to call
    /// [`supervisor::main`] with it. Use an absolute path, such as that of the running program.
    pub supervisor: Vec<OsString>,
    /// Where each command has its directory.
    pub state_dir: PathBuf,
    /// Between asking a command to stop (TERM) and forcing it (KILL).
    pub grace: Duration,
    /// The most bytes of output that are kept of one command. What goes beyond is cut out of the middle, visibly.
    pub output_bytes_max: u64,
    /// How long what was lost or refused is kept, for a later attempt that may take it over.
    pub retention: Duration,
}

/// Runs commands.
pub struct CommandExecutor {
    config: CommandConfig,
    policy: AgentPolicy,
    clock: Arc<dyn Clock>,
}

impl CommandExecutor {
    /// Makes the state directory when it does not exist.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(config: CommandConfig, policy: AgentPolicy, clock: Arc<dyn Clock>) -> io::Result<Self> {
        durable::ensure_directory(&config.state_dir)?;
        Ok(Self {
            config,
            policy,
            clock,
        })
    }

    fn directory(&self, id: AttemptId) -> Directory {
        Directory::of(&self.config.state_dir, id)
    }

    fn launch(&self, claim: &Claim, command: document::Command) -> Launch {
        let deadlines = [claim.deadline_seconds, command.deadline_seconds];
        Launch {
            environment: environment(claim, &command),
            deadline_seconds: deadlines.into_iter().flatten().min(),
            grace: self.config.grace,
            caps: caps(self.config.output_bytes_max),
            command,
        }
    }

    /// Starts a supervisor, which starts the command. Nothing has been started when this fails.
    async fn start(&self, directory: &Directory, launch: &Launch) -> io::Result<Child> {
        let launch = serde_json::to_vec(launch)?;
        directory.create()?;
        let mut supervisor = self.start_supervisor(directory)?;
        let mut input = supervisor.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // A supervisor that ends before it has read this has started nothing, and the directory says so.
        let _ = input.write_all(&launch).await;
        let _ = input.shutdown().await;
        Ok(supervisor)
    }

    fn start_supervisor(&self, directory: &Directory) -> io::Result<Child> {
        let (program, arguments) = self
            .config
            .supervisor
            .split_first()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let complaints = std::fs::File::create_new(directory.path().join("supervisor.log"))?;
        Command::new(program)
            .args(arguments)
            .arg(directory.path())
            .env_clear()
            .envs(passed_on())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(complaints)
            .kill_on_drop(false)
            .spawn()
    }
}

#[async_trait]
impl Executor for CommandExecutor {
    fn work_type(&self) -> &str {
        COMMAND
    }

    async fn available(&self) -> Result<(), String> {
        // Commands that cannot be begun would fail one after the other, and use up the retries of their orders.
        let probe = self.config.state_dir.join(PROBE);
        let written = tokio::task::spawn_blocking(move || {
            durable::write_for_this_boot(&probe, &[0; PROBE_BYTES])?;
            durable::remove(&probe)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the state directory cannot be written: {error}")),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn execute(&self, claim: &Claim, context: Context) -> Outcome {
        if let Err(rule) = self.policy.permits(&claim.work_type) {
            return Outcome::failure(FailureClass::Refused, rule.to_string());
        }
        let command = match document::Command::parse(&claim.document) {
            Ok(command) => command,
            Err(error) => return Outcome::failure(FailureClass::Refused, error.to_string()),
        };
        // An earlier attempt that was told to stop may take its time.
        if !tidy::until_alone(&self.config.state_dir, claim.id, self.config.grace).await {
            let message = "an earlier attempt at this order still runs here and does not stop";
            return Outcome::failure(FailureClass::Infrastructure, message);
        }
        let directory = self.directory(claim.id);
        match self.start(&directory, &self.launch(claim, command)).await {
            Ok(supervisor) => {
                let (supervisor, grace) = (Some(supervisor), self.config.grace);
                Follow {
                    directory,
                    supervisor,
                    context,
                    grace,
                    resume: true,
                }
                .until_the_end()
                .await
            }
            Err(error) => {
                let message = format!("the agent could not start the command's supervisor: {error}");
                Outcome::failure(FailureClass::Infrastructure, message)
            }
        }
    }

    async fn holds(&self, claim: &Claim, attempt: i64) -> Result<bool, LookupError> {
        let directory = self.directory(sibling(claim, attempt));
        if !directory.exists().map_err(LookupError::new)? {
            return Ok(false);
        }
        let begun = match directory.condition().map_err(LookupError::new)? {
            Condition::Ended(exit) => exit.end != End::NotStarted || exit.stopped.is_some(),
            Condition::Running | Condition::Unknown => true,
        };
        let own = attempt == claim.id.attempt;
        Ok(begun && (own || tidy::tells_an_outcome(&directory).map_err(LookupError::new)?))
    }

    async fn adopt(&self, claim: &Claim, attempt: i64, context: Context) -> Outcome {
        let directory = self.directory(sibling(claim, attempt));
        let resume = attempt == claim.id.attempt;
        Follow {
            directory,
            supervisor: None,
            context,
            grace: self.config.grace,
            resume,
        }
        .until_the_end()
        .await
    }

    async fn settled(&self, claim: &Claim, accepted: bool) {
        tidy::after_the_answer(&self.config.state_dir, claim.id, accepted);
    }

    async fn tidy(&self, _agent: Uuid, held: &BTreeSet<Uuid>) {
        tidy::everything(&self.config, held, self.clock.now());
    }
}

fn environment(claim: &Claim, command: &document::Command) -> Vec<(String, String)> {
    let of_the_document = command
        .env
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let of_the_attempt = [
        ("BROKKR_WORK_ORDER_ID".to_owned(), claim.id.order.to_string()),
        ("BROKKR_ATTEMPT".to_owned(), claim.id.attempt.to_string()),
    ];
    let trace = claim
        .traceparent
        .iter()
        .map(|trace| ("TRACEPARENT".to_owned(), trace.clone()));
    // The document may name a trace of its own, but not another order or attempt.
    passed_on()
        .chain(trace)
        .chain(of_the_document)
        .chain(of_the_attempt)
        .collect()
}

fn passed_on() -> impl Iterator<Item = (String, String)> {
    PASSED_ON
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)))
}

/// A sixteenth, but not more than a mebibyte, is kept of the end: that much stays in the supervisor's memory.
fn caps(output_bytes_max: u64) -> Caps {
    let tail_bytes = (output_bytes_max / 16).min(1024 * 1024);
    Caps {
        head_bytes: output_bytes_max - tail_bytes,
        tail_bytes,
    }
}
