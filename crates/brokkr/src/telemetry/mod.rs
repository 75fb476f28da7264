//! Logs and traces. Nothing leaves the host unless an endpoint for traces is given.

mod json_fields;
mod otlp;
pub(crate) mod trace;

use std::sync::OnceLock;

use anyhow::Context as _;
use brokkr_broker::Surroundings;
use brokkr_broker::api::LinkTrace;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use self::json_fields::JsonFields;
use crate::config::{LogFormat, TelemetrySection};
use crate::exit::usage;
use crate::output::colour::{self, Stream};

/// What a service tells unless it is asked otherwise. The driver repeats what the database remarks; nothing of it is news.
const SERVICE_LEVEL: &str = "info,sqlx=warn";

/// Flags that every command has.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct TelemetryArgs {
    /// What to log to standard error: a level, or a filter such as info,brokkr_broker=debug
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "BROKKR_LOG",
        hide_env_values = true
    )]
    log: Option<String>,

    /// How to write the log
    #[arg(long, global = true, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,
}

/// The logs and traces of this process.
#[derive(Debug)]
pub(crate) struct Telemetry {
    args: TelemetryArgs,
    default_level: &'static str,
    traces: OnceLock<SdkTracerProvider>,
}

impl Telemetry {
    /// Begins nothing yet: the configuration may say how.
    pub(crate) fn new(args: TelemetryArgs, is_service: bool) -> Telemetry {
        let default_level = if is_service { SERVICE_LEVEL } else { "warn" };
        Telemetry {
            args,
            default_level,
            traces: OnceLock::new(),
        }
    }

    /// Begins for a command that reads no configuration.
    pub(crate) fn start_for_people(&self) -> anyhow::Result<()> {
        self.start(&TelemetrySection::default())
    }

    /// Begins to log, and to send traces if there is somewhere to send them.
    ///
    /// # Errors
    /// A usage error when filter or endpoint make no sense.
    pub(crate) fn start(&self, config: &TelemetrySection) -> anyhow::Result<()> {
        let filter = self.filter(config)?;
        let traces = otlp::provider(config)?;
        let layer = traces.as_ref().map(otlp::layer);
        Registry::default()
            .with(layer)
            .with(self.writer(config).with_filter(filter))
            .try_init()
            .context("could not begin to log")?;
        if let Some(traces) = traces {
            // Only the first start counts, and there is only one.
            let _ = self.traces.set(traces);
        }
        Ok(())
    }

    fn filter(&self, config: &TelemetrySection) -> anyhow::Result<EnvFilter> {
        let from_rust_log = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        let chosen = self
            .args
            .log
            .clone()
            .or(from_rust_log)
            .or_else(|| config.log.clone());
        // The Kubernetes client logs each failed try as an error; whoever tries again says once that there is trouble.
        let directives = chosen.unwrap_or_else(|| format!("{},kube_client=off", self.default_level));
        EnvFilter::try_new(&directives)
            .map_err(|error| usage(format!("{directives} is no filter for the log: {error}")))
    }

    fn writer<S>(&self, config: &TelemetrySection) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        let layer = fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(colour::wanted(Stream::Stderr));
        match self.args.log_format.unwrap_or(config.log_format) {
            LogFormat::Text => layer.with_target(false).boxed(),
            LogFormat::Json => layer
                .json()
                .flatten_event(true)
                .fmt_fields(JsonFields::default())
                .boxed(),
        }
    }

    /// What a broker in this process takes from it.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            link_trace: self.traces.get().map(|_| trace::link as LinkTrace),
            ..Surroundings::default()
        }
    }

    /// Sends what has not been sent. A collector that is away must not keep the process.
    pub(crate) async fn flush(&self) {
        if let Some(traces) = self.traces.get().cloned() {
            // What cannot be sent is lost; there is nobody to tell.
            let _ = tokio::task::spawn_blocking(move || traces.shutdown()).await;
        }
    }
}
