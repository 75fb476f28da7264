//! Errors as they are answered.

mod code;

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use brokkr_core::limits::OutOfBounds;
use brokkr_core::names::NameError;
use serde_json::Value;
use tracing::error;

use crate::app::DalError;
use crate::error_chain::chain;

pub use code::Code;

/// An answer that is an error: `{"code", "message", "details"?}` with the code's status.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    message: String,
    details: Option<Value>,
    retry_after: Option<Duration>,
}

/// When to try again after a failure that passes by itself.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Problem {
    /// A problem with a sentence for people, which may change at any time.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let retry_after = (code.status().as_u16() == 503).then_some(RETRY_AFTER);
        Self {
            code,
            message: message.into(),
            details: None,
            retry_after,
        }
    }

    /// The same problem with facts that belong to its code.
    #[must_use]
    pub fn with_details(self, details: Value) -> Self {
        Self {
            details: Some(details),
            ..self
        }
    }

    /// The same problem with the time after which trying again makes sense, told in whole seconds, rounded up.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Answers a storage error that no use case has a word for. Logged here, with its whole chain, and nowhere else.
    #[must_use]
    pub fn storage(error: &DalError) -> Self {
        if let DalError::Overrun { .. } = error {
            return Self::new(
                Code::Overloaded,
                "The broker has more requests of this kind than it can take. Try again later.",
            );
        }
        if error.transient() {
            error!(error = %chain(error), "the database is not available");
            return Self::new(
                Code::DatabaseUnavailable,
                "The database is not available. Try again later.",
            );
        }
        Self::internal(error)
    }

    /// Answers a defect. Logged here, with its whole chain; the caller learns nothing but that it happened.
    #[must_use]
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        error!(error = %chain(error), "a request failed for a reason that is not the caller's");
        Self::new(
            Code::InternalError,
            "The broker failed. Its log tells why, under this answer's X-Request-Id.",
        )
    }

    /// Answers that no reason was found for what is, which is a defect. Logged here.
    #[must_use]
    pub fn unexplained(error: &(dyn Error + 'static)) -> Self {
        error!(error = %chain(error), "what is cannot be explained");
        Self::new(
            Code::Unexplained,
            "The broker found no reason, which is a defect of its own. Its log has more, under this answer's X-Request-Id.",
        )
    }

    /// A name that breaks its rules, under the code of the thing that was named.
    #[must_use]
    pub fn invalid_name(code: Code, error: &NameError) -> Self {
        Self::new(code, sentence(error))
    }

    /// A number out of its bounds, under the code of the thing that it belongs to.
    #[must_use]
    pub fn out_of_bounds(code: Code, error: &OutOfBounds) -> Self {
        Self::new(code, sentence(error)).with_details(serde_json::json!({
            "field": error.what, "min": error.min, "max": error.max, "found": error.found,
        }))
    }

    /// What clients decide by.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The body, for answers in which a problem is only a part.
    #[must_use]
    pub fn body(&self) -> brokkr_api::Problem {
        brokkr_api::Problem {
            code: self.code.as_str().to_owned(),
            message: self.message.clone(),
            details: self.details.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), Json(self.body())).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.code.status().as_u16() == 401 {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An error's own words as a sentence: they begin in lower case and end without a full stop.
pub(crate) fn sentence(error: &dyn Error) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    match characters.next() {
        // A field's name stays as it is written on the wire.
        Some(first) if !text.split(' ').next().is_some_and(|word| word.contains('_')) => {
            format!("{}{}.", first.to_uppercase(), characters.as_str())
        }
        _ => format!("{text}."),
    }
}
