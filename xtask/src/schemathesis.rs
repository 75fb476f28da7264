//! `cargo xtask schemathesis`: what the broker says of its interface, against what it does.

mod broker;
mod tool;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::ensure;

use self::broker::{Agent, Broker};
use crate::steps::{self, cargo, root, say};

/// Which checks there are, and what is left out of them and why.
const CONFIGURATION: &str = "fuzz/schemathesis.toml";
/// The calls that only an agent may make, about itself.
const AGENTS_OWN: &str = r"^/api/v1/agents/\{id\}/(heartbeat|claims|renewals|endings|output)$";

/// What `cargo xtask schemathesis` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many requests are made up for each operation in each phase.
    #[arg(long, default_value_t = 20)]
    examples: u32,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// When Schemathesis is not there and cannot be installed, say so and succeed.
    #[arg(long)]
    if_available: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let schemathesis = match tool::installed() {
        Ok(program) => program,
        Err(error) if arguments.if_available => {
            say(&format!("Schemathesis is left out: {error:#}"));
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error),
    };
    let built = steps::run(&mut cargo(&[
        "build",
        "--quiet",
        "--locked",
        "--package",
        "brokkr",
    ]))?;
    ensure!(built.success(), "brokkr could not be built");
    let broker = Broker::start(&root().join("target/schemathesis-broker"))?;
    let agent = broker.agent()?;
    broker.submit(&["hello", "slow", "fails"])?;

    // The agent comes first: the administrator may delete it.
    say("as an agent");
    let mut as_agent = session(&schemathesis, arguments, &broker, &agent);
    as_agent.args(["--include-path-regex", AGENTS_OWN]);
    as_agent.env("BROKKR_PAK", &agent.pak);
    let agent_passed = steps::run(&mut as_agent)?.success();

    say("as an administrator");
    let mut as_admin = session(&schemathesis, arguments, &broker, &agent);
    as_admin.args(["--exclude-path-regex", AGENTS_OWN]);
    as_admin.env("BROKKR_PAK", broker.admin_pak());
    let admin_passed = steps::run(&mut as_admin)?.success();
    Ok(match agent_passed && admin_passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Schemathesis against the document that this broker serves. The key is left to be said.
fn session(schemathesis: &Path, arguments: &Arguments, broker: &Broker, agent: &Agent) -> Command {
    let mut command = Command::new(schemathesis);
    command.current_dir(root());
    command.args(["--config-file", CONFIGURATION, "run"]);
    command.arg(format!("{}/docs/openapi.json", broker.url()));
    command.args(["--seed", &arguments.seed.to_string()]);
    command.args(["--max-examples", &arguments.examples.to_string()]);
    command.env("BROKKR_AGENT", &agent.id);
    command.env(
        "HYPOTHESIS_STORAGE_DIRECTORY",
        root().join("target/schemathesis/hypothesis"),
    );
    command
}
