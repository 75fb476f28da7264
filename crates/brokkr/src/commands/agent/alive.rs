//! `brokkr agent alive`: whether the agent of a state directory works, for probes.

use std::path::PathBuf;

use brokkr_agent::alive;
use brokkr_agent::clock::{Clock, SystemClock};

use crate::config::load::Flags;
use crate::config::{AgentSection, ConfigArgs};
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  brokkr agent alive --state-dir /var/lib/brokkr/agent

Exit code 0: the agent has shown a sign of life in the last 90 seconds, whether or not it can reach its broker.";

/// Tell whether the agent of a state directory works
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where the agent keeps its state
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    let Args { state_dir, config } = args;
    let flags = Flags::default().set("agent", "state_dir", state_dir);
    let section: AgentSection = config.load(flags)?.config.agent;
    let directory = section.state_dir()?;
    let Some(sign) = alive::read(&directory)? else {
        println!("no agent has worked with {} yet", directory.display());
        return Ok(Exit::Failed);
    };
    let now = SystemClock.now();
    let seconds = (now - sign.at).num_seconds().max(0);
    let broker = match sign.broker_answered_at {
        Some(at) => format!("the broker answered {} s ago", (now - at).num_seconds().max(0)),
        None => "the broker has not answered yet".to_owned(),
    };
    println!("{}: last sign of life {seconds} s ago, {broker}", sign.state);
    Ok(if sign.is_fresh(now) {
        Exit::Succeeded
    } else {
        Exit::Failed
    })
}
