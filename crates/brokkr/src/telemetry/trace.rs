//! The trace that a command belongs to, in the header `traceparent` (W3C Trace Context).

use std::sync::Arc;

use brokkr_client::HeaderProvider;
use http::{HeaderMap, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::random;

const TRACEPARENT: &str = "traceparent";

/// Headers for every request: those of the current span when traces are exported, else the trace of whoever started this
/// process (`TRACEPARENT`), else one that begins here.
pub(crate) fn headers() -> HeaderProvider {
    let inherited = std::env::var("TRACEPARENT")
        .ok()
        .filter(|text| is_traceparent(text))
        .unwrap_or_else(fresh);
    Arc::new(move || {
        let mut headers = Carrier(HeaderMap::new());
        let context = tracing::Span::current().context();
        opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut headers)
        });
        let Carrier(mut headers) = headers;
        if let (false, Ok(value)) = (
            headers.contains_key(TRACEPARENT),
            HeaderValue::from_str(&inherited),
        ) {
            headers.insert(TRACEPARENT, value);
        }
        headers
    })
}

/// Makes a span a child of the one that a `traceparent` names.
pub(crate) fn link(span: &tracing::Span, traceparent: &str) {
    let parent = TraceContextPropagator::new().extract(&Received(traceparent));
    // A span that is filtered out has no parent to set.
    let _ = span.set_parent(parent);
}

struct Received<'a>(&'a str);

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct Carrier(HeaderMap);

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

fn fresh() -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        "00-{}-{}-01",
        hex(&random::bytes::<16>()),
        hex(&random::bytes::<8>())
    )
}

/// Version, trace, parent and flags, as lower-case hexadecimal; zeros are nobody's.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_nobody = |part: &str| part.bytes().all(|b| b == b'0');
    match parts.as_slice() {
        [version, trace, parent, flags] => {
            is_hex(version, 2)
                && is_hex(trace, 32)
                && is_hex(parent, 16)
                && is_hex(flags, 2)
                && *version != "ff"
                && !is_nobody(trace)
                && !is_nobody(parent)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_standard_allows_is_passed_on() {
        assert!(is_traceparent(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
        assert!(is_traceparent(&fresh()));
        for text in [
            "",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }
}
