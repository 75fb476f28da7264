//! `brokkr context`: the brokers that `brokkr login` remembers.

use clap::Subcommand;

use crate::contexts::Contexts;
use crate::exit::{Exit, usage};
use crate::output::{Format, OutputArgs, machine, print};

const EXAMPLES: &str = "\
Examples:
  brokkr context list
  brokkr context use staging
  brokkr context delete old";

/// List, choose and forget the brokers that you have logged in to
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// List all contexts; the current one has a star
    #[command(after_help = "Examples:\n  brokkr context list\n  brokkr context list -o json")]
    List(OutputArgs),
    /// Make a context the current one
    #[command(after_help = "Examples:\n  brokkr context use staging")]
    Use {
        /// Its name
        name: String,
    },
    /// Forget a context. The PAK stays valid: delete it with brokkr delete pak
    #[command(after_help = "Examples:\n  brokkr context delete old")]
    Delete {
        /// Its name
        name: String,
    },
}

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    let Args { command } = args;
    let path = Contexts::path(|name| std::env::var(name).ok())?;
    let mut contexts = Contexts::load(&path)?;
    match command {
        ContextCommand::List(OutputArgs { output }) => list(&contexts, output)?,
        ContextCommand::Use { name } => {
            contexts.select(&name).map_err(|error| usage(error.to_string()))?;
            contexts.save(&path)?;
            print(&format!("{name} is the current context now\n"))?;
        }
        ContextCommand::Delete { name } => {
            contexts.remove(&name).map_err(|error| usage(error.to_string()))?;
            contexts.save(&path)?;
            print(&format!("context {name} deleted\n"))?;
        }
    }
    Ok(Exit::Succeeded)
}

fn list(contexts: &Contexts, output: Format) -> anyhow::Result<()> {
    let is_current = |name: &str| contexts.current.as_deref() == Some(name);
    match output {
        Format::Json | Format::Yaml => {
            let shown: Vec<_> = contexts
                .contexts
                .iter()
                .map(|context| {
                    let (name, broker) = (&context.name, &context.broker);
                    serde_json::json!({ "name": name, "broker": broker, "current": is_current(name) })
                })
                .collect();
            machine(output, &shown)
        }
        Format::Name => print(
            &contexts
                .contexts
                .iter()
                .map(|context| format!("{}\n", context.name))
                .collect::<String>(),
        ),
        Format::Table | Format::Wide => {
            if contexts.contexts.is_empty() {
                eprintln!("There are no contexts. Make one with brokkr login.");
            }
            let width = contexts
                .contexts
                .iter()
                .map(|context| context.name.chars().count())
                .max()
                .unwrap_or(0);
            let lines = contexts.contexts.iter().map(|context| {
                let star = if is_current(&context.name) { '*' } else { ' ' };
                format!("{star} {:width$}  {}\n", context.name, context.broker)
            });
            print(&lines.collect::<String>())
        }
    }
}
