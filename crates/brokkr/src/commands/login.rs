//! `brokkr login`: remembers a broker and a PAK for it.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;
use brokkr_api::{AuthAnswer, PakText};

use crate::connection::{Endpoint, read_pak};
use crate::contexts::{Context, Contexts};
use crate::exit::{Exit, usage};
use crate::output::print;

const EXAMPLES: &str = "\
Examples:
  brokkr login --broker https://brokkr.example.com                     asks for the PAK
  brokkr login --broker https://brokkr.example.com --pak-file ci.pak   reads it from a file
  vault read -field=pak brokkr | brokkr login --broker https://brokkr.example.com --name prod";

/// Remember a broker and a PAK for it, after trying them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The broker's address
    #[arg(long, value_name = "URL")]
    broker: String,

    /// A file that holds the PAK; without it the PAK is read from standard input
    #[arg(long, value_name = "FILE")]
    pak_file: Option<PathBuf>,

    /// Certificates to trust, as PEM, instead of those of the system
    #[arg(long, value_name = "FILE", env = "BROKKR_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,

    /// What to call the context; the broker's host without it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        broker,
        pak_file,
        ca_file,
        name,
    } = args;
    let name = match name {
        Some(name) => name,
        None => host(&broker)?,
    };
    let pak = match pak_file {
        Some(file) => read_pak(&file)?,
        None => ask(&broker)?,
    };
    let endpoint = Endpoint {
        broker: broker.clone(),
        pak: pak.clone(),
        origin: "--broker".to_owned(),
    };
    let answer = endpoint
        .client(ca_file.as_deref())?
        .whoami()
        .await
        .context("could not log in")?;
    let path = Contexts::path(|name| std::env::var(name).ok())?;
    let mut contexts = Contexts::load(&path)?;
    contexts.put(Context {
        name: name.clone(),
        broker: broker.clone(),
        pak,
    });
    contexts.save(&path)?;
    print(&format!(
        "Logged in to {broker} as {}. The current context is {name}.\n",
        role(&answer)
    ))?;
    Ok(Exit::Succeeded)
}

/// What a PAK is, in words.
pub(crate) fn role(answer: &AuthAnswer) -> String {
    match answer {
        AuthAnswer { agent: Some(id), .. } => format!("agent {id}"),
        AuthAnswer {
            generator: Some(id), ..
        } => format!("generator {id}"),
        AuthAnswer { readonly: true, .. } => "viewer".to_owned(),
        AuthAnswer { .. } => "admin".to_owned(),
    }
}

fn host(broker: &str) -> anyhow::Result<String> {
    let url =
        url::Url::parse(broker).map_err(|error| usage(format!("{broker} is not an address: {error}")))?;
    url.host_str()
        .map(str::to_owned)
        .ok_or_else(|| usage(format!("{broker} names no host")))
}

/// From a terminal it is typed unseen.
fn ask(broker: &str) -> anyhow::Result<PakText> {
    let text = if io::stdin().is_terminal() {
        eprint!("PAK for {broker}: ");
        console::Term::stderr()
            .read_secure_line()
            .context("could not read the PAK")?
    } else {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("could not read the PAK from standard input")?;
        text
    };
    match text.trim() {
        "" => Err(usage("no PAK was given")),
        pak => Ok(PakText::new(pak)),
    }
}
