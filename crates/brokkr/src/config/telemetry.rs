//! What is told about the process, and to whom.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is told about the process, and to whom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TelemetrySection {
    /// What to log: a level, or a filter such as `info,brokkr_broker=debug`. `BROKKR_LOG` and `RUST_LOG` are stronger. Without
    /// any, broker and agent log `info`, and commands for people `warn`.
    pub(crate) log: Option<String>,
    /// How to write the log: `text` or `json`.
    #[schema(value_type = String)]
    pub(crate) log_format: LogFormat,
    /// Where to send traces: the base address of an OpenTelemetry collector that speaks OTLP over HTTP. Without it and without
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is sent anywhere.
    pub(crate) otlp_endpoint: Option<String>,
    /// The name under which traces are sent.
    pub(crate) service_name: String,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object on each line
    Json,
}

impl Default for TelemetrySection {
    fn default() -> TelemetrySection {
        TelemetrySection {
            log: None,
            log_format: LogFormat::Text,
            otlp_endpoint: None,
            service_name: "brokkr".to_owned(),
        }
    }
}
