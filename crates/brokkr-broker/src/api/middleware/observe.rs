//! The request's id, span and metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument as _, Span, field, info_span};
use uuid::Uuid;

use super::RequestContext;
use crate::api::state::AppState;
use crate::api::warnings::Warnings;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID_CHARACTERS_MAX: usize = 128;

/// Wraps the request in its span, counts it, and puts its id and the remarks on it into the answer.
pub(in crate::api) async fn observe(
    State(state): State<AppState>,
    path: Option<MatchedPath>,
    params: Result<RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = method_label(request.method());
    let endpoint = path
        .as_ref()
        .map_or_else(|| "other".to_owned(), |path| endpoint_label(path.as_str()));
    let context = RequestContext {
        id: request_id(request.headers()).unwrap_or_else(|| state.app.new_request_id()),
        traceparent: traceparent(request.headers()),
    };
    let subject = Subject::of(&endpoint, params.as_ref().ok());
    let span = span(&context, method, &endpoint, subject);
    if let (Some(link), Some(parent)) = (state.link_trace, &context.traceparent) {
        link(&span, parent);
    }
    let warnings = Warnings::default();
    request.extensions_mut().insert(warnings.clone());
    request.extensions_mut().insert(context.clone());

    let mut response = next.run(request).instrument(span.clone()).await;

    let status = response.status().as_u16();
    if state.link_trace.is_some() {
        // Only a trace shows it: nothing is logged in the span any more.
        span.record("http.response.status_code", status);
    }
    state
        .app
        .metrics()
        .request(&endpoint, method, status, began.elapsed());
    warnings.write(response.headers_mut());
    if let Ok(id) = HeaderValue::try_from(context.id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// The thing whose id stands in the path.
#[derive(Debug, Clone, Copy)]
enum Subject {
    WorkOrder(Uuid),
    Agent(Uuid),
    Generator(Uuid),
    Other,
}

impl Subject {
    fn of(endpoint: &str, params: Option<&RawPathParams>) -> Self {
        // Only what is an id: a path is a stranger's text.
        let id = params
            .and_then(|params| params.iter().find(|(name, _)| *name == "id"))
            .and_then(|(_, value)| Uuid::try_parse(value).ok());
        let noun = endpoint
            .strip_prefix("/api/v1/")
            .and_then(|rest| rest.split('/').next());
        match (noun, id) {
            (Some("work-orders" | "work-order-log"), Some(id)) => Self::WorkOrder(id),
            (Some("agents"), Some(id)) => Self::Agent(id),
            (Some("generators"), Some(id)) => Self::Generator(id),
            _ => Self::Other,
        }
    }

    fn work_order(self) -> Option<Uuid> {
        match self {
            Self::WorkOrder(id) => Some(id),
            _ => None,
        }
    }

    fn agent(self) -> Option<Uuid> {
        match self {
            Self::Agent(id) => Some(id),
            _ => None,
        }
    }

    fn generator(self) -> Option<Uuid> {
        match self {
            Self::Generator(id) => Some(id),
            _ => None,
        }
    }
}

/// All that is known at the beginning is said at once: whatever is recorded later is formatted once more.
fn span(context: &RequestContext, method: &'static str, endpoint: &str, subject: Subject) -> Span {
    info_span!(
        "http.request",
        otel.name = %format_args!("{method} {endpoint}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = endpoint,
        http.response.status_code = field::Empty,
        request.id = %context.id,
        trace.parent = context.traceparent.as_deref(),
        caller = field::Empty,
        work_order.id = subject.work_order().map(field::display),
        agent.id = subject.agent().map(field::display),
        generator.id = subject.generator().map(field::display),
    )
}

/// The route with its parameters as `:id`, so that metrics have one line per route and not one per thing.
fn endpoint_label(route: &str) -> String {
    let segments = route.split('/').map(|segment| {
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(parameter) => format!(":{parameter}"),
            None => segment.to_owned(),
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let readable = !text.is_empty()
        && text.len() <= REQUEST_ID_CHARACTERS_MAX
        && text.bytes().all(|b| b.is_ascii_graphic());
    readable.then(|| text.to_owned())
}

/// The header's text when it is a version 00 trace context (or a later one that begins like it).
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let named = |part: &str| part.bytes().any(|byte| byte != b'0');
    let valid = hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && hex(trace, 32)
        && named(trace)
        && hex(parent, 16)
        && named(parent)
        && hex(flags, 2);
    (valid && text.len() <= 256).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_becomes_a_label_without_ids() {
        assert_eq!(
            endpoint_label("/api/v1/agents/{id}/labels/{label}"),
            "/api/v1/agents/:id/labels/:label"
        );
        assert_eq!(endpoint_label("/api/v1/agents/"), "/api/v1/agents/");
    }

    #[test]
    fn only_a_well_formed_trace_context_is_taken_up() {
        let read = |text: &'static str| {
            traceparent(&HeaderMap::from_iter([(
                TRACEPARENT,
                HeaderValue::from_static(text),
            )]))
        };
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(read(valid).as_deref(), Some(valid));
        for nonsense in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
