//! What an agent does, and for whom.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brokkr_agent::AgentConfig;
use brokkr_agent::clock::SystemClock;
use brokkr_agent::policy::AgentPolicy;
use brokkr_client::Client;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::KubernetesSection;
use crate::exit::usage;
use crate::random;

/// What an agent does, and for whom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AgentSection {
    /// The broker's address.
    pub(crate) broker: Option<String>,
    /// The file that holds the agent's PAK.
    #[schema(value_type = Option<String>)]
    pub(crate) pak_file: Option<PathBuf>,
    /// Certificates to trust, as PEM, instead of those of the system.
    #[schema(value_type = Option<String>)]
    pub(crate) ca_file: Option<PathBuf>,
    /// What survives a restart: endings that the broker does not know yet, and running commands. Each agent needs its own.
    /// Without it: `brokkr/agent` below `$XDG_STATE_HOME` or `~/.local/state`.
    #[schema(value_type = Option<String>)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Whether orders of type `command` may run programs on this host, as the agent's user.
    pub(crate) allow_commands: bool,
    /// The work types to claim; without it all that the agent can and may do.
    pub(crate) work_types: Option<BTreeSet<String>>,
    /// The file with the rules of this place: what orders may do in the cluster, when work may begin, and how much of each
    /// type runs at the same time.
    #[schema(value_type = Option<String>)]
    pub(crate) policy_file: Option<PathBuf>,
    /// How many orders run at the same time: 1 to 1,000.
    pub(crate) slots: usize,
    /// How long a claim holds unless it is renewed, in seconds: at least 5. A vanished agent is noticed after this time.
    pub(crate) lease_seconds: i64,
    /// How long a request for work waits when there is none, in seconds: 0 to 60.
    pub(crate) wait_seconds: i64,
    /// How long running work may go on after the first signal, before it is stopped as if by a second one, in seconds: commands
    /// are ended, work on a cluster is left to the next process. Without it, until it ends.
    pub(crate) drain_seconds: Option<u64>,
    /// Between asking a command or a pod to stop and forcing it, in seconds.
    pub(crate) grace_seconds: u64,
    /// The most output that is kept of one order, in bytes. What goes beyond is cut out of the middle, visibly.
    /// Keep it below the broker's `limits.output_bytes_max`, which would cut off the end.
    pub(crate) output_bytes_max: u64,
    /// How long commands of an earlier process go on while the broker does not say that they are this agent's, in seconds.
    pub(crate) orphan_seconds: u64,
    /// How long what tells the outcome of a lost attempt is kept for a later one, in hours.
    pub(crate) retention_hours: u64,
    /// The cluster that the agent works in.
    pub(crate) kubernetes: KubernetesSection,
}

impl Default for AgentSection {
    fn default() -> AgentSection {
        AgentSection {
            broker: None,
            pak_file: None,
            ca_file: None,
            state_dir: None,
            allow_commands: false,
            work_types: None,
            policy_file: None,
            slots: 4,
            lease_seconds: 30,
            wait_seconds: 20,
            drain_seconds: None,
            grace_seconds: 10,
            output_bytes_max: 12 * 1024 * 1024,
            orphan_seconds: 60,
            retention_hours: 24,
            kubernetes: KubernetesSection::default(),
        }
    }
}

impl AgentSection {
    /// The same, as the agent takes it.
    ///
    /// # Errors
    /// A usage error when a number is out of its bounds or there is no place for the state.
    pub(crate) fn config(&self, client: Client) -> anyhow::Result<AgentConfig> {
        self.check()?;
        let instance = random::bytes::<16>();
        let name = Uuid::from_bytes(instance).simple().to_string();
        let seed = u64::from_le_bytes(random::bytes());
        let clock = Arc::new(SystemClock);
        let base = AgentConfig::new(client, name, seed, clock, self.state_dir()?, supervisor()?);
        Ok(AgentConfig {
            policy: self.policy(),
            slots: self.slots,
            lease_seconds: self.lease_seconds,
            wait_seconds: self.wait_seconds,
            grace: Duration::from_secs(self.grace_seconds),
            output_bytes_max: self.output_bytes_max,
            orphan_window: Duration::from_secs(self.orphan_seconds),
            retention: Duration::from_secs(self.retention_hours.saturating_mul(3_600)),
            ..base
        })
    }

    /// What the agent does at all.
    pub(crate) fn policy(&self) -> AgentPolicy {
        AgentPolicy {
            allow_commands: self.allow_commands,
            work_types: self.work_types.clone(),
        }
    }

    /// Where the agent keeps its state.
    pub(crate) fn state_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(directory) = &self.state_dir {
            return std::path::absolute(directory)
                .with_context(|| format!("could not use {}", directory.display()));
        }
        let variable = |name| {
            std::env::var(name)
                .ok()
                .filter(|path: &String| path.starts_with('/'))
        };
        let base = match (variable("XDG_STATE_HOME"), variable("HOME")) {
            (Some(state), _) => PathBuf::from(state),
            (None, Some(home)) => Path::new(&home).join(".local/state"),
            (None, None) => {
                return Err(usage(
                    "say where the agent keeps its state, with --state-dir or agent.state_dir",
                ));
            }
        };
        Ok(base.join("brokkr/agent"))
    }

    fn check(&self) -> anyhow::Result<()> {
        let within = |name: &str, value: i64, min: i64, max: i64| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(usage(format!(
                    "agent.{name} must be between {min} and {max}, not {value}"
                )))
            }
        };
        within("slots", i64::try_from(self.slots).unwrap_or(i64::MAX), 1, 1_000)?;
        within("lease_seconds", self.lease_seconds, 5, 2_592_000)?;
        within("wait_seconds", self.wait_seconds, 0, 60)
    }
}

/// This program again, in the mode that stands between an agent and a command.
fn supervisor() -> anyhow::Result<Vec<OsString>> {
    let program = std::env::current_exe().context("could not tell where this program is")?;
    Ok(vec![program.into(), "internal".into(), "run-command".into()])
}
