//! `brokkr broker`: a broker that serves until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use brokkr_broker::config::TlsConfig;
use brokkr_broker::{Broker, RunningBroker};
use tracing::{info, warn};

use crate::config::load::Flags;
use crate::config::{Config, ConfigArgs};
use crate::exit::{Exit, usage};
use crate::output::print;
use crate::signals::Signals;
use crate::telemetry::Telemetry;

const EXAMPLES: &str = "\
Examples:
  brokkr broker --database-url sqlite:brokkr.db --admin-pak-file admin.pak
  brokkr broker --listen 0.0.0.0:3000 --database-url postgres://brokkr@db/brokkr
  brokkr broker --config /etc/brokkr/broker.toml

The first SIGINT or SIGTERM finishes the requests in flight; the second ends at once, which loses nothing that was
accepted.";

/// Run a broker: keep the queue and the log, and serve agents and people
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The address and port to listen on [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME [default: sqlite:brokkr.db]
    #[arg(long, value_name = "URL", env = "BROKKR_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,

    /// At the first start, also write the new admin PAK here (mode 0600)
    #[arg(long, value_name = "FILE")]
    admin_pak_file: Option<PathBuf>,

    /// The broker's certificate and its chain, PEM; with it the broker speaks TLS
    #[arg(long, value_name = "FILE", requires = "tls_key_file")]
    tls_cert_file: Option<PathBuf>,

    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_key_file: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,
}

impl Args {
    fn into_config(self) -> anyhow::Result<Config> {
        let Args {
            listen,
            database_url,
            admin_pak_file,
            tls_cert_file,
            tls_key_file,
            config,
        } = self;
        let tls = tls_cert_file
            .zip(tls_key_file)
            .map(|(cert_file, key_file)| TlsConfig { cert_file, key_file });
        let flags = Flags::default()
            .set("http", "listen", listen)
            .set("http", "tls", tls)
            .set("database", "url", database_url)
            .set("admin", "pak_file", admin_pak_file);
        Ok(config.load(flags)?.config)
    }
}

pub(crate) async fn run(args: Args, telemetry: &Telemetry) -> anyhow::Result<Exit> {
    let config = args.into_config()?;
    config
        .admin
        .first_admin()
        .map_err(|error| usage(error.to_string()))?;
    telemetry.start(&config.telemetry)?;
    let mut signals = Signals::listen()?;
    let mut broker = Broker::start(config.broker(), telemetry.surroundings())
        .await
        .context("the broker did not start")?;
    tell_first_admin(&broker, config.admin.pak_file.as_deref())?;
    tokio::select! {
        () = signals.next() => stop(broker, &mut signals).await,
        () = broker.ended() => {
            stop(broker, &mut signals).await?;
            Ok(Exit::Failed)
        }
    }
}

/// Once, and on standard output, where no log is.
fn tell_first_admin(broker: &RunningBroker, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(pak) = &broker.first_admin_pak else {
        return Ok(());
    };
    let place = file
        .map(|file| format!(" It is also in {}.", file.display()))
        .unwrap_or_default();
    eprintln!("This is the first administrator's PAK. It is shown only now.{place}");
    print(&format!("{}\n", pak.reveal()))
}

async fn stop(broker: RunningBroker, signals: &mut Signals) -> anyhow::Result<Exit> {
    tokio::select! {
        () = broker.stop() => {
            info!("the broker has stopped");
            Ok(Exit::Succeeded)
        }
        () = signals.next() => {
            warn!("told twice to stop, so requests in flight are not finished");
            Ok(Exit::Interrupted)
        }
    }
}
