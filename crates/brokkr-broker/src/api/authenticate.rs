//! From the `Authorization` header to a caller.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use brokkr_core::pak::Pak;

use super::middleware::RequestContext;
use super::problem::{Code, Problem};
use super::state::AppState;
use crate::app::authentication::AuthenticationError;
use crate::app::caller::Caller;

impl From<AuthenticationError> for Problem {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::NotAccepted => refused(),
            AuthenticationError::Storage(error) => Self::storage(&error),
        }
    }
}

/// Finds out who calls, and counts the request against the key's rate.
pub(super) async fn authenticate(parts: &mut Parts, state: &AppState) -> Result<Caller, Problem> {
    let pak = bearer(&parts.headers)?;
    let mut caller = state.app.authenticate(&pak).await?;
    if let Some(context) = parts.extensions.get::<RequestContext>() {
        caller.request_id = Some(context.id.clone());
        caller.traceparent = context.traceparent.clone();
    }
    tracing::Span::current().record("caller", tracing::field::display(caller.actor()));
    state.admit(caller.key.as_str()).map_err(|wait| {
        Problem::new(
            Code::RateLimited,
            "This key sends more requests than one key may.",
        )
        .with_retry_after(wait)
    })?;
    Ok(caller)
}

/// `Bearer <PAK>`, `bearer <PAK>` or the bare PAK, and nothing else.
fn bearer(headers: &HeaderMap) -> Result<Pak, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::new(
            Code::MissingCredentials,
            "Send one header `Authorization: Bearer <PAK>`.",
        ));
    };
    let text = value.to_str().map_err(|_| refused())?;
    let key = text
        .strip_prefix("Bearer ")
        .or_else(|| text.strip_prefix("bearer "))
        .unwrap_or(text);
    Pak::parse(key).map_err(|_| refused())
}

fn refused() -> Problem {
    Problem::new(
        Code::InvalidCredentials,
        "This key is not accepted: it is unknown, expired, revoked or malformed.",
    )
}
