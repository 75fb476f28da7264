//! `brokkr agent install`: an agent in a cluster.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use brokkr_agent::policy::ClusterPolicy;

use crate::exit::{Exit, usage};
use crate::install::{self, Installation};

const EXAMPLES: &str = "\
Examples:
  brokkr create agent eu-1 --cluster prod-eu --label prod --save-pak eu-1.pak
  kubectl create namespace brokkr-agent
  kubectl --namespace brokkr-agent create secret generic brokkr-agent --from-file=pak=eu-1.pak
  brokkr agent install --dry-run --broker https://brokkr.example.com | kubectl apply -f -
  brokkr agent install --dry-run --broker https://brokkr.example.com --policy policy.yaml --image registry.example.com/brokkr:0.1.0";

/// Print the manifests that install an agent in a cluster
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print the manifests and change nothing; without it nothing is done at all
    #[arg(long, required = true)]
    dry_run: bool,

    /// The broker's address, as it is reached from inside the cluster
    #[arg(long, value_name = "URL", env = "BROKKR_BROKER", hide_env_values = true)]
    broker: String,

    /// The namespace that the agent lives in
    #[arg(long, value_name = "NAMESPACE", default_value = install::NAME)]
    namespace: String,

    /// The name of everything that is made for the agent
    #[arg(long, value_name = "NAME", default_value = install::NAME)]
    name: String,

    /// The Secret whose key `pak` holds the agent's PAK
    #[arg(long, value_name = "NAME", default_value = install::NAME)]
    secret: String,

    /// The image that has this program
    #[arg(long, value_name = "IMAGE", default_value = "brokkr:latest")]
    image: String,

    /// What the agent may do; its rights follow from it [default: its own namespace, and no kinds that give power]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Certificates to trust, as PEM, instead of those of the system
    #[arg(long, value_name = "FILE", env = "BROKKR_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,

    /// How many orders run at the same time [default: 4]
    #[arg(long, value_name = "NUMBER")]
    slots: Option<usize>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        dry_run: _,
        broker,
        namespace,
        name,
        secret,
        image,
        policy,
        ca_file,
        slots,
    } = args;
    let read = |file: &PathBuf| {
        fs::read_to_string(file).map_err(|error| usage(format!("could not read {}: {error}", file.display())))
    };
    let policy_text = match &policy {
        Some(file) => read(file)?,
        None => install::DEFAULT_POLICY.to_owned(),
    };
    let parsed = ClusterPolicy::parse(&policy_text)
        .map_err(|error| usage(error.to_string()))
        .with_context(|| match &policy {
            Some(file) => format!("{} is no policy", file.display()),
            None => "the default policy cannot be read".to_owned(),
        })?;
    let installation = Installation {
        namespace,
        name,
        broker,
        secret,
        image,
        ca: ca_file.as_ref().map(read).transpose()?,
        slots,
        policy: parsed,
        policy_text,
    };
    print!("{}", install::yaml(&installation.objects()?)?);
    Ok(Exit::Succeeded)
}
