//! `brokkr completion`: scripts for shells.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::print;

const EXAMPLES: &str = "\
Examples:
  source <(brokkr completion bash)
  brokkr completion zsh > \"${fpath[1]}/_brokkr\"
  brokkr completion fish > ~/.config/fish/completions/brokkr.fish";

/// Write the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    let Args { shell } = args;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "brokkr", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Succeeded)
}
