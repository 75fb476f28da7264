//! JSON bodies.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use brokkr_api::KnownFields;
use futures_util::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::api::AppState;
use crate::api::problem::{Code, Problem};
use crate::api::warnings::Warnings;

/// How much of a body that was refused is still heard, and for how long.
const HEARD_BYTES_MAX: usize = 16 * 1024 * 1024;
const HEARD_TIME_MAX: Duration = Duration::from_secs(1);

/// A body or an answer of JSON. Unknown fields are refused when the type refuses them, as all types of part 2 do.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A body of part 1 of the contract: unknown fields are ignored, and reported in the answer's `Warning` header.
#[derive(Debug)]
pub(crate) struct LenientJson<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let bytes = read(request, state).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> OptionalFromRequest<AppState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Option<Self>, Problem> {
        let declared = require_json(request.headers());
        let bytes = read(request, state).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        declared?;
        parse(&bytes).map(Self).map(Some)
    }
}

impl<T: DeserializeOwned + KnownFields> FromRequest<AppState> for LenientJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        match <Self as OptionalFromRequest<AppState>>::from_request(request, state).await? {
            Some(body) => Ok(body),
            None => Err(Problem::new(
                Code::InvalidJson,
                "This request needs a body of JSON.",
            )),
        }
    }
}

impl<T: DeserializeOwned + KnownFields> OptionalFromRequest<AppState> for LenientJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Option<Self>, Problem> {
        let (parts, body) = request.into_parts();
        let declared = require_json(&parts.headers);
        let bytes = read(Request::from_parts(parts.clone(), body), state).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        declared?;
        let value = parse(&bytes)?;
        Warnings::ignored(&parts, "fields", &T::unknown_fields(&parse(&bytes)?));
        Ok(Some(Self(value)))
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if json {
        return Ok(());
    }
    Err(Problem::new(
        Code::UnsupportedMediaType,
        "The body must be sent with Content-Type: application/json.",
    ))
}

async fn read(request: Request, state: &AppState) -> Result<Vec<u8>, Problem> {
    let limits = &state.app.limits;
    // Half of the request's time: who sends slowly hears that it was the body, not the broker.
    let patience = Duration::from_millis(limits.request_seconds_max.saturating_mul(500).max(1));
    tokio::time::timeout(patience, read_up_to(request, limits.body_bytes_max))
        .await
        .unwrap_or_else(|_| {
            Err(Problem::new(
                Code::BodyTimeout,
                "The body did not arrive in time.",
            ))
        })
}

async fn read_up_to(request: Request, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut stream = request.into_body().into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk
            .map_err(|_| Problem::new(Code::IncompleteBody, "The body could not be read to its end."))?;
        if bytes.len() + chunk.len() > bytes_max {
            hear_out(stream).await;
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads on for a moment and forgets it. Whoever is still sending when the connection closes sees a broken connection, and never
/// the answer that says why.
pub(crate) async fn hear_out(mut body: BodyDataStream) {
    let mut left = HEARD_BYTES_MAX;
    let heard = async {
        while let Some(Ok(chunk)) = body.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    // Its end, its bound or its time: the answer is the same.
    let _ = tokio::time::timeout(HEARD_TIME_MAX, heard).await;
}

pub(crate) fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("A body may have at most {bytes_max} bytes."),
    )
    .with_details(serde_json::json!({"bytes_max": bytes_max}))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // An array would be taken for the members of an object, in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(Code::InvalidBody, "The body must be a JSON object."));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let code = match error.classify() {
            Category::Data => Code::InvalidBody,
            Category::Io | Category::Syntax | Category::Eof => Code::InvalidJson,
        };
        Problem::new(code, format!("The body cannot be understood: {error}."))
    })
}
