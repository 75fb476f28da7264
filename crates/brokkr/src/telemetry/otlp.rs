//! Traces for a collector that speaks OTLP over HTTP.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::runtime;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use tracing_opentelemetry::OpenTelemetryLayer;

use crate::config::TelemetrySection;
use crate::exit::usage;

/// The standard variables that name an endpoint; the exporter reads them by itself.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// The traces of this process, if there is somewhere to send them.
pub(super) fn provider(config: &TelemetrySection) -> anyhow::Result<Option<SdkTracerProvider>> {
    let in_environment = ENDPOINTS
        .iter()
        .any(|name| std::env::var(name).is_ok_and(|value| !value.is_empty()));
    if config.otlp_endpoint.is_none() && !in_environment {
        return Ok(None);
    }
    let mut builder = SpanExporter::builder().with_http();
    if let Some(endpoint) = &config.otlp_endpoint {
        builder = builder.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
    }
    let exporter = builder
        .build()
        .map_err(|error| usage(format!("traces cannot be exported: {error}")))?;
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter, runtime::Tokio).build())
        .with_resource(resource)
        .build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Some(provider))
}

/// Turns spans of the log into spans of the trace.
pub(super) fn layer<S>(
    provider: &SdkTracerProvider,
) -> OpenTelemetryLayer<S, opentelemetry_sdk::trace::SdkTracer>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_opentelemetry::layer().with_tracer(provider.tracer("brokkr"))
}
