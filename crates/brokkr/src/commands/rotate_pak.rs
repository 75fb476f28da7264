//! `brokkr rotate-pak`: a new PAK for an agent or a generator.

use std::path::PathBuf;

use clap::Subcommand;

use crate::commands::create::deliver;
use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::references;

const EXAMPLES: &str = "\
Examples:
  brokkr rotate-pak agent runner --save-pak runner.pak
  brokkr rotate-pak generator ci";

/// Replace the PAK of an agent or a generator; the old one is dead at once
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The PAK of an agent
    #[command(after_help = "Examples:\n  brokkr rotate-pak agent runner --save-pak runner.pak")]
    Agent {
        /// Its name, name/cluster or id
        agent: String,

        /// Where to write the new PAK (mode 0600, replaces the file); without it the PAK is printed
        #[arg(long, value_name = "FILE")]
        save_pak: Option<PathBuf>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// The PAK of a generator
    #[command(after_help = "Examples:\n  brokkr rotate-pak generator ci")]
    Generator {
        /// Its name or id
        generator: String,

        /// Where to write the new PAK (mode 0600, replaces the file); without it the PAK is printed
        #[arg(long, value_name = "FILE")]
        save_pak: Option<PathBuf>,

        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Agent {
            agent,
            save_pak,
            connection,
        } => {
            let client = connection.client()?;
            let agent = references::agent(&client, &agent).await?;
            let rotated = client.rotate_agent_pak(agent.id).await?;
            eprintln!("agent/{} has a new PAK", agent.name);
            deliver(&rotated.pak, save_pak.as_deref())?;
        }
        What::Generator {
            generator,
            save_pak,
            connection,
        } => {
            let client = connection.client()?;
            let generator = references::generator(&client, &generator).await?;
            let rotated = client.rotate_generator_pak(generator.id).await?;
            eprintln!("generator/{} has a new PAK", generator.name);
            deliver(&rotated.pak, save_pak.as_deref())?;
        }
    }
    Ok(Exit::Succeeded)
}
