//! What an agent has to be told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brokkr_client::Client;

use crate::clock::Clock;
use crate::policy::AgentPolicy;

/// Everything an agent needs. The durations and sizes of [`AgentConfig::new`] suit most hosts.
#[derive(Clone)]
pub struct AgentConfig {
    /// Speaks to the broker with the agent's PAK. Its requests must be allowed to last longer than `wait_seconds`.
    pub client: Client,
    /// Names this process to the broker, new at each start: 1 to 64 characters.
    pub instance_id: String,
    /// Decides the jitter of all waiting; any number will do.
    pub jitter_seed: u64,
    /// Tells the time of what is recorded.
    pub clock: Arc<dyn Clock>,
    /// What survives a restart. One agent at a time has it for itself.
    pub state_dir: PathBuf,
    /// The words that start a command's supervisor, see
    /// [`CommandConfig::supervisor`](crate::execute::command::CommandConfig::supervisor).
    pub supervisor: Vec<OsString>,
    /// What the agent does at all.
    pub policy: AgentPolicy,
    /// How many attempts run at the same time: 1 to 1,000.
    pub slots: usize,
    /// How long a claim holds unless it is renewed: at least 5.
    pub lease_seconds: i64,
    /// How long a request for work waits when there is none: 0 to 60.
    pub wait_seconds: i64,
    /// Between asking a command to stop and forcing it.
    pub grace: Duration,
    /// The most bytes of output that are kept of one command: its beginning and its end. Keep it below what the broker
    /// stores of an attempt (16 MiB unless configured), which would cut off the end.
    pub output_bytes_max: u64,
    /// How long commands of an earlier process go on while the broker does not name this agent as their holder. In that
    /// time it may claim their order again and take them over.
    pub orphan_window: Duration,
    /// How long what tells the outcome of a lost attempt is kept for a later one.
    pub retention: Duration,
    /// How often it is looked whether what keeps the agent from claiming has changed: a closed window, work of a type that
    /// cannot be done now.
    pub look_again: Duration,
    /// How often an agent that has a cluster tells the broker whether it reaches it.
    pub cluster_report: Duration,
}

impl AgentConfig {
    /// The configuration of an agent that refuses everything; set `policy` to let it work.
    pub fn new(
        client: Client,
        instance_id: String,
        jitter_seed: u64,
        clock: Arc<dyn Clock>,
        state_dir: PathBuf,
        supervisor: Vec<OsString>,
    ) -> Self {
        Self {
            client,
            instance_id,
            jitter_seed,
            clock,
            state_dir,
            supervisor,
            policy: AgentPolicy::default(),
            slots: 4,
            lease_seconds: 30,
            wait_seconds: 20,
            grace: Duration::from_secs(10),
            output_bytes_max: 12 * 1024 * 1024,
            orphan_window: Duration::from_secs(60),
            retention: Duration::from_secs(24 * 3600),
            look_again: Duration::from_secs(5),
            cluster_report: Duration::from_secs(30),
        }
    }
}
