//! `brokkr create`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use brokkr_api::{Agent, CreateAgent, CreateGenerator, CreatePak, PakRole, PakText, Time, UpdateAgent};
use clap::{Subcommand, ValueEnum};

use super::{annotate, annotate::key_value, label, webhook};
use crate::connection::ConnectionArgs;
use crate::contexts::write_private;
use crate::exit::{Exit, usage};
use crate::output::print;
use crate::references;

const EXAMPLES: &str = "\
Examples:
  brokkr create agent runner --cluster eu-west -l prod --save-pak runner.pak
  brokkr create generator ci --save-pak ci.pak
  brokkr create pak dashboard --role viewer --expires-in 90d
  brokkr create webhook deploy-bot --url https://hooks.example.com/brokkr -e work_order.failed";

/// Create agents, generators, PAKs and webhooks
///
/// A PAK is shown once: the broker keeps only a hash of it. So is the secret of a webhook.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// An agent, which may claim at once
    #[command(
        after_help = "Examples:\n  brokkr create agent runner --cluster eu-west -l prod --save-pak runner.pak\n  brokkr agent --pak-file runner.pak --broker URL"
    )]
    Agent(AgentArgs),
    /// A generator: a tenant or a CI system
    #[command(after_help = "Examples:\n  brokkr create generator ci --description 'the build system'")]
    Generator {
        /// Its name
        name: String,
        /// For people
        #[arg(long)]
        description: Option<String>,
        /// Where to write its PAK (mode 0600, must not exist); without it the PAK is printed
        #[arg(long, value_name = "FILE")]
        save_pak: Option<PathBuf>,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// A PAK for a person or a tool
    #[command(after_help = "Examples:\n  brokkr create pak dashboard --role viewer --expires-in 90d")]
    Pak {
        /// Tells people what it is for
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t = Role::Viewer)]
        role: Role,
        /// How long it is valid, such as 90d; without it for ever
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        expires_in: Option<Duration>,
        /// Where to write it (mode 0600, must not exist); without it the PAK is printed
        #[arg(long, value_name = "FILE")]
        save_pak: Option<PathBuf>,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// A webhook, which is told of events from now on
    #[command(
        after_help = "Examples:\n  brokkr create webhook deploy-bot --url https://hooks.example.com/brokkr -e work_order.failed -e work_order.lost\n  brokkr create webhook all --url https://hooks.example.com/all -e '*' --save-secret all.secret"
    )]
    Webhook(webhook::CreateArgs),
}

#[derive(Debug, clap::Args)]
struct AgentArgs {
    /// Its name, unique within the cluster
    name: String,

    /// The cluster or host that it serves
    #[arg(long, default_value = "default")]
    cluster: String,

    /// A label to give it
    #[arg(short, long = "label", value_name = "LABEL")]
    labels: Vec<String>,

    /// An annotation to give it
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = key_value)]
    annotations: Vec<(String, String)>,

    /// A generator that may see it, by name or id
    #[arg(long = "generator", value_name = "GENERATOR")]
    generators: Vec<String>,

    /// Leave it paused until brokkr resume
    #[arg(long)]
    inactive: bool,

    /// Where to write its PAK (mode 0600, must not exist); without it the PAK is printed
    #[arg(long, value_name = "FILE")]
    save_pak: Option<PathBuf>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Everything
    Admin,
    /// See everything, change nothing
    Viewer,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Agent(args) => create_agent(args).await?,
        What::Webhook(args) => webhook::create(args).await?,
        What::Generator {
            name,
            description,
            save_pak,
            connection,
        } => {
            refuse_existing(save_pak.as_deref())?;
            let created = connection
                .client()?
                .create_generator(&CreateGenerator { name, description })
                .await?;
            eprintln!(
                "generator/{} created ({})",
                created.generator.name, created.generator.id
            );
            deliver(&created.pak, save_pak.as_deref())?;
        }
        What::Pak {
            name,
            role,
            expires_in,
            save_pak,
            connection,
        } => {
            refuse_existing(save_pak.as_deref())?;
            let request = CreatePak {
                name,
                role: role.into(),
                expires_at: expires_in.map(from_now),
            };
            let created = connection.client()?.create_pak(&request).await?;
            eprintln!("pak/{} created", created.pak_info.short);
            deliver(&created.pak, save_pak.as_deref())?;
        }
    }
    Ok(Exit::Succeeded)
}

async fn create_agent(args: AgentArgs) -> anyhow::Result<()> {
    let AgentArgs {
        name,
        cluster,
        labels,
        annotations,
        generators,
        inactive,
        save_pak,
        connection,
    } = args;
    refuse_existing(save_pak.as_deref())?;
    let client = connection.client()?;
    let mut generator_ids = Vec::new();
    for generator in &generators {
        generator_ids.push(references::generator(&client, generator).await?.id.to_string());
    }
    let generator_ids = Some(generator_ids).filter(|ids| !ids.is_empty());
    let created = client
        .create_agent(&CreateAgent {
            name,
            cluster_name: cluster,
            generator_ids,
        })
        .await?;
    let Agent { id, name, .. } = created.agent;
    // First of all, since it cannot be shown a second time.
    deliver(&created.initial_pak, save_pak.as_deref())?;
    for text in &labels {
        label::add(&client, id, text).await?;
    }
    for (key, value) in &annotations {
        annotate::add(&client, id, key, value).await?;
    }
    // Last of all, so that it claims nothing before it has its labels.
    if !inactive {
        let activate = UpdateAgent {
            status: Some(Agent::ACTIVE.to_owned()),
            ..UpdateAgent::default()
        };
        client
            .update_agent(id, &activate)
            .await
            .context("the agent was created, but it could not be activated")?;
    }
    eprintln!("agent/{name} created ({id})");
    Ok(())
}

impl From<Role> for PakRole {
    fn from(role: Role) -> PakRole {
        match role {
            Role::Admin => PakRole::Admin,
            Role::Viewer => PakRole::Viewer,
        }
    }
}

fn from_now(span: Duration) -> Time {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Time::from_micros(references::now().as_micros().saturating_add(micros))
}

/// A PAK that cannot be written would be lost, so this is looked at before it is made.
pub(crate) fn refuse_existing(file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    match fs::symlink_metadata(file) {
        Ok(_) => Err(usage(format!("{} exists already", file.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
                Err(usage(format!("{} is not a directory", parent.display())))
            }
            _ => Ok(()),
        },
        Err(error) => Err(usage(format!("{}: {error}", file.display()))),
    }
}

/// Hands over a PAK: to a file of its owner, or to standard output, where nothing else is written.
pub(crate) fn deliver(pak: &PakText, file: Option<&Path>) -> anyhow::Result<()> {
    hand_over(pak.expose(), "PAK", file)
}

/// Hands over a secret in the same way. `what` is what people call it.
pub(crate) fn hand_over(secret: &str, what: &str, file: Option<&Path>) -> anyhow::Result<()> {
    let line = format!("{secret}\n");
    if let Some(file) = file {
        match write_private(file, line.as_bytes()) {
            Ok(()) => {
                eprintln!("its {what} is in {}", file.display());
                return Ok(());
            }
            // Better on the screen than nowhere.
            Err(error) => eprintln!("could not write {}: {error}; this is the {what}:", file.display()),
        }
    }
    print(&line)
}
