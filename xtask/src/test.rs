//! `cargo xtask test`.

use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::{Context, bail};
use brokkr_testkit_postgres::{Cluster, Server};

use crate::browser;
use crate::cluster;
use crate::install;
use crate::kubectl;
use crate::selection::{Selection, Suite};
use crate::standard_webhooks;
use crate::steps::{self, cargo, exit_code, root, say};

/// Where the test kit looks for a server before it starts its own.
const SERVER_URL: &str = "BROKKR_TEST_POSTGRES_URL";

/// Each test of the broker holds several connections and a database; more at once only wait for each other.
const THREADS_MAX: &str = "4";

/// What `cargo xtask test` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this suite (unit or integration), of this crate, and tests whose path contains one of the filters.
    #[arg(value_names = ["SUITE", "CRATE", "FILTER"], num_args = 0..)]
    words: Vec<String>,
    /// Only this suite; may be repeated.
    #[arg(long, value_enum)]
    suite: Vec<Suite>,
    /// Only this crate; may be repeated.
    #[arg(short, long)]
    package: Vec<String>,
    /// A PostgreSQL server to use instead of a throwaway one; its user must be able to create databases.
    #[arg(long, env = SERVER_URL, hide_env_values = true)]
    postgres_url: Option<String>,
    /// Leave out the tests that render kustomizations with kubectl.
    #[arg(long)]
    no_kubectl: bool,
    /// Leave out the tests that look at the console with Chromium.
    #[arg(long)]
    no_browser: bool,
    #[command(flatten)]
    cluster: cluster::Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        words,
        suite,
        package,
        postgres_url,
        no_kubectl,
        no_browser,
        cluster,
    } = arguments;
    if cluster.is_wanted() {
        return cluster::run(cluster, words);
    }
    let mut selection = Selection {
        suites: suite.clone(),
        packages: package.clone(),
        filters: Vec::new(),
    };
    selection.add_words(words, &packages()?);

    let server = match postgres_url {
        None if selection.wants_postgres() => Some(start_cluster()?),
        _ => None,
    };
    let url = postgres_url.as_deref().or(server.as_ref().map(Cluster::url));

    let mut command = cargo(&["test", "--locked", "--no-fail-fast"]);
    let mut left_out = Vec::new();
    if selection.wants_kubectl() {
        left_out.extend(kubectl::left_out(*no_kubectl)?);
    }
    if selection.wants_browser() {
        left_out.extend(browser::left_out(*no_browser)?);
    }
    if selection.wants_standard_webhooks() {
        left_out.extend(standard_webhooks::left_out());
    }
    command.args(selection.cargo_arguments(has_library, &left_out));
    if let Some(url) = url {
        command.env(SERVER_URL, url);
    }
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        command.env("RUST_TEST_THREADS", THREADS_MAX);
    }
    let shown: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    say(&format!("cargo {}", shown.join(" ")));
    Ok(exit_code(steps::run(&mut command)?))
}

fn start_cluster() -> anyhow::Result<Cluster> {
    if Server::find().is_err() {
        install::postgres()?;
    }
    // Its shell makes the backups of the book, which are restored in a test.
    if !install::succeeds("sqlite3", &["--version"]) && !install::package("sqlite3", "")? {
        bail!("the tests need sqlite3: install Debian's package sqlite3, or your system's");
    }
    say("starting a throwaway PostgreSQL");
    Ok(Cluster::start()?)
}

fn packages() -> anyhow::Result<Vec<String>> {
    let crates = root().join("crates");
    let entries =
        std::fs::read_dir(&crates).with_context(|| format!("could not list {}", crates.display()))?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.chain(["xtask".into()]).collect())
}

fn has_library(package: &str) -> bool {
    root().join("crates").join(package).join("src/lib.rs").is_file()
}
