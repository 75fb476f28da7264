//! Query strings.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::api::problem::{Code, Problem};
use crate::api::warnings::Warnings;

/// The parameters of a query string. Unknown ones are ignored, and reported in the answer's `Warning` header.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let invalid = |reason: String| {
            Problem::new(
                Code::InvalidQuery,
                format!("The query cannot be understood: {reason}."),
            )
        };
        let pairs: axum::extract::Query<Vec<(String, String)>> =
            axum::extract::Query::try_from_uri(&parts.uri).map_err(|error| invalid(error.body_text()))?;
        let known: Vec<String> = T::into_params(|| None)
            .into_iter()
            .map(|parameter| parameter.name)
            .collect();
        let unknown: Vec<String> = pairs
            .0
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !known.contains(name))
            .collect();
        Warnings::ignored(parts, "parameters", &unknown);
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error| invalid(error.body_text()))
    }
}
