//! `brokkr config`.

use clap::Subcommand;
use serde_json::{Map, Value};

use crate::config::load::Flags;
use crate::config::{ConfigArgs, Loaded, show};
use crate::exit::Exit;
use crate::output::{Format, OutputArgs, machine, print};

const EXAMPLES: &str = "\
Examples:
  brokkr config show
  BROKKR__HTTP__LISTEN=0.0.0.0:3000 brokkr config show --config /etc/brokkr.toml
  brokkr config show -o json";

/// Show the configuration of broker and agent
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print what is in force, where it comes from, and secrets masked
    #[command(after_help = EXAMPLES)]
    Show {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    let ConfigCommand::Show { config, output } = args.command;
    let loaded = config.load(Flags::default())?;
    match output.output {
        Format::Json | Format::Yaml => machine(output.output, &nested(&loaded))?,
        Format::Name => print(
            &show::flattened(&loaded.config)
                .iter()
                .map(|(key, _)| format!("{key}\n"))
                .collect::<String>(),
        )?,
        Format::Table | Format::Wide => {
            if let Some(file) = &loaded.file {
                print(&format!("# {}\n\n", file.display()))?;
            }
            print(&show::as_toml(&loaded))?;
        }
    }
    Ok(Exit::Succeeded)
}

fn nested(loaded: &Loaded) -> Value {
    let mut root = Value::Object(Map::new());
    for (key, value) in show::flattened(&loaded.config) {
        let mut place = &mut root;
        for name in key.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[name];
        }
        *place = show::masked(&key, &value);
    }
    root
}
