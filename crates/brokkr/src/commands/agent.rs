//! `brokkr agent`: an agent that works until it is told to stop.

mod alive;
mod install;

use std::path::PathBuf;
use std::time::Duration;

use brokkr_agent::{Shutdown, ShutdownTrigger};
use brokkr_client::{Client, ClientConfig};
use clap::{ArgAction, Subcommand};
use tracing::info;

use crate::config::load::Flags;
use crate::config::{AgentSection, ConfigArgs, KubernetesArgs};
use crate::connection::{Endpoint, read_pak};
use crate::exit::{Exit, usage};
use crate::kubernetes;
use crate::signals::Signals;
use crate::telemetry::Telemetry;

const EXAMPLES: &str = "\
Examples:
  brokkr agent --broker https://brokkr.example.com --pak-file runner.pak --allow-commands
  brokkr agent --config /etc/brokkr/agent.toml --slots 8
  brokkr agent --broker https://brokkr.example.com --pak-file prod.pak --kube-context prod --policy policy.yaml

The first SIGINT or SIGTERM lets running work finish and claims no more; the second stops what still runs.";

/// Run an agent: claim work that is meant for it, do it, and report
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,

    #[command(flatten)]
    run: RunArgs,
}

/// What is done about agents instead of being one.
#[derive(Debug, Subcommand)]
enum What {
    Install(install::Args),
    Alive(alive::Args),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The broker's address
    #[arg(long, value_name = "URL", env = "BROKKR_BROKER", hide_env_values = true)]
    broker: Option<String>,

    /// The file that holds the agent's PAK
    #[arg(long, value_name = "FILE", env = "BROKKR_PAK_FILE", hide_env_values = true)]
    pak_file: Option<PathBuf>,

    /// Certificates to trust, as PEM, instead of those of the system
    #[arg(long, value_name = "FILE", env = "BROKKR_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,

    /// How many orders run at the same time [default: 4]
    #[arg(long, value_name = "NUMBER")]
    slots: Option<usize>,

    /// Let orders run programs on this host, as this user
    #[arg(long, action = ArgAction::SetTrue)]
    allow_commands: bool,

    /// Claim only this type of work
    #[arg(long = "work-type", value_name = "TYPE")]
    work_types: Vec<String>,

    /// The rules of this place: what orders may do in the cluster, when work may begin, how much of it at once
    #[arg(long = "policy", value_name = "FILE")]
    policy_file: Option<PathBuf>,

    /// Where to keep what survives a restart; each agent needs its own
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// How long a claim holds unless it is renewed [default: 30]
    #[arg(long, value_name = "SECONDS")]
    lease_seconds: Option<i64>,

    /// How long a request for work waits when there is none [default: 20]
    #[arg(long, value_name = "SECONDS")]
    wait_seconds: Option<i64>,

    /// After the first signal, how long running work may go on before it is stopped as if by a second one
    #[arg(long, value_name = "SECONDS")]
    drain_seconds: Option<u64>,

    /// Between asking a command or a pod to stop and forcing it [default: 10]
    #[arg(long, value_name = "SECONDS")]
    grace_seconds: Option<u64>,

    #[command(flatten)]
    kubernetes: KubernetesArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

impl RunArgs {
    fn into_section(self) -> anyhow::Result<(AgentSection, crate::config::TelemetrySection)> {
        let RunArgs {
            broker,
            pak_file,
            ca_file,
            slots,
            allow_commands,
            work_types,
            state_dir,
            lease_seconds,
            wait_seconds,
            drain_seconds,
            grace_seconds,
            policy_file,
            kubernetes,
            config,
        } = self;
        let flags = Flags::default()
            .set("agent", "broker", broker)
            .set("agent", "pak_file", pak_file)
            .set("agent", "ca_file", ca_file)
            .set("agent", "slots", slots)
            .set("agent", "allow_commands", allow_commands.then_some(true))
            .set(
                "agent",
                "work_types",
                (!work_types.is_empty()).then_some(work_types),
            )
            .set("agent", "state_dir", state_dir)
            .set("agent", "lease_seconds", lease_seconds)
            .set("agent", "wait_seconds", wait_seconds)
            .set("agent", "drain_seconds", drain_seconds)
            .set("agent", "grace_seconds", grace_seconds)
            .set("agent", "policy_file", policy_file)
            .set("agent", "kubernetes", kubernetes.given());
        let config = config.load(flags)?.config;
        Ok((config.agent, config.telemetry))
    }
}

pub(crate) async fn run(args: Args, telemetry: &Telemetry) -> anyhow::Result<Exit> {
    match args.what {
        Some(What::Install(args)) => return install::run(args),
        Some(What::Alive(args)) => return alive::run(args),
        None => {}
    }
    let (section, for_telemetry) = args.run.into_section()?;
    telemetry.start(&for_telemetry)?;
    let client = client(&section)?;
    let agent = kubernetes::agent(&section, section.config(client)?).await?;
    let mut signals = Signals::listen()?;
    let (trigger, shutdown) = Shutdown::new();
    let drain = section.drain_seconds.map(Duration::from_secs);
    tokio::spawn(async move { escalate(&mut signals, &trigger, drain).await });
    agent.run(shutdown).await?;
    Ok(Exit::Succeeded)
}

/// Passes signals on. A supervisor that gives only one may have set how long running work has after it.
async fn escalate(signals: &mut Signals, trigger: &ShutdownTrigger, drain: Option<Duration>) {
    signals.next().await;
    info!("asked to stop; once more stops what still runs");
    trigger.escalate();
    let drained = async {
        match drain {
            Some(drain) => tokio::time::sleep(drain).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = drained => info!("the time to finish running work has passed"),
        _ = signals.next() => {}
    }
    trigger.escalate();
}

/// A client whose requests may last as long as the agent waits for work.
pub(crate) fn client(section: &AgentSection) -> anyhow::Result<Client> {
    let broker = section
        .broker
        .clone()
        .ok_or_else(|| usage("say which broker the agent is for, with --broker or agent.broker"))?;
    let pak_file = section.pak_file.as_deref().ok_or_else(|| {
        usage("give the agent's PAK, with --pak-file or agent.pak_file; brokkr create agent makes one")
    })?;
    let endpoint = Endpoint {
        broker,
        pak: read_pak(pak_file)?,
        origin: "configuration".to_owned(),
    };
    let config = endpoint.client_config(section.ca_file.as_deref())?;
    let waiting = Duration::from_secs(section.wait_seconds.clamp(0, 60) as u64);
    let config = ClientConfig {
        request_timeout: config.request_timeout + waiting,
        ..config
    };
    Client::new(config).map_err(|error| usage(error.to_string()))
}
