//! What happens to every request, whatever it asks for.

mod bounds;
mod observe;

pub(super) use bounds::{bound, panicked};
pub(super) use observe::observe;

/// What a request said about itself, for the audit and for the trace.
#[derive(Debug, Clone)]
pub(super) struct RequestContext {
    /// The caller's own request id, or a new one.
    pub(super) id: String,
    /// The W3C trace context, as it came.
    pub(super) traceparent: Option<String>,
}
