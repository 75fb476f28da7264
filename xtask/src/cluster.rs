//! `cargo xtask test --cluster`: the scenarios on a real cluster instead of the fake one.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::steps::{self, cargo, exit_code, say};

/// Where the scenarios look for the kubeconfig, for the image of their containers, and for an image of this program.
const KUBECONFIG: &str = "BROKKR_TEST_KUBECONFIG";
const IMAGE: &str = "BROKKR_TEST_IMAGE";
const AGENT_IMAGE: &str = "BROKKR_TEST_AGENT_IMAGE";
/// The scenarios share a node, which may be small.
const THREADS_MAX: &str = "4";

/// Which cluster, and what its containers are made of.
#[derive(Debug, clap::Args)]
#[group(id = "cluster_arguments")]
pub(crate) struct Arguments {
    /// Run the scenarios on the cluster that KUBECONFIG leads to, each in a namespace of its own.
    #[arg(long)]
    cluster: bool,
    /// The image of their containers: any with a shell and the usual small tools. It is pulled only when it is not there.
    #[arg(long, requires = "cluster", default_value = "busybox")]
    image: String,
    /// An image of this program that the cluster's nodes have or can pull. With it the kustomizations are applied too, and the
    /// agent in the cluster has to complete an order.
    #[arg(long, requires = "cluster")]
    agent_image: Option<String>,
}

impl Arguments {
    /// Whether a real cluster was asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.cluster
    }
}

/// Runs those scenarios whose path contains one of `filters`, or all.
pub(crate) fn run(arguments: &Arguments, filters: &[String]) -> anyhow::Result<ExitCode> {
    let kubeconfig = kubeconfig()?;
    let mut command = cargo(&["test", "--locked", "--no-fail-fast", "--package", "brokkr"]);
    command.args(["--test", "integration", "--"]);
    match filters {
        [] => command.arg("scenarios::"),
        filters => command.args(filters.iter().map(|filter| format!("scenarios::{filter}"))),
    };
    command
        .env(KUBECONFIG, &kubeconfig)
        .env(IMAGE, &arguments.image)
        .env("RUST_TEST_THREADS", THREADS_MAX);
    if let Some(image) = &arguments.agent_image {
        command.env(AGENT_IMAGE, image);
    }
    say(&format!(
        "scenarios on the cluster of {}",
        Path::new(&kubeconfig).display()
    ));
    Ok(exit_code(steps::run(&mut command)?))
}

fn kubeconfig() -> anyhow::Result<OsString> {
    let kubeconfig = std::env::var_os("KUBECONFIG")
        .filter(|path| !path.is_empty())
        .context("set KUBECONFIG to the kubeconfig of the cluster to test on")?;
    ensure!(
        Path::new(&kubeconfig).is_file(),
        "KUBECONFIG is {}, which is not one file",
        Path::new(&kubeconfig).display()
    );
    Ok(std::path::absolute(kubeconfig)?.into())
}
