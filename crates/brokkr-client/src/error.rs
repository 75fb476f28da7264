//! What can go wrong between a request and its answer.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::NotCarried;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The broker answered that it did not do it.
    #[error(transparent)]
    Problem(Box<ProblemAnswer>),
    /// No answer: the broker could not be connected to, took too long, or the connection broke. Unless
    /// [`ClientError::never_sent`], it may have done what was asked.
    #[error("the broker cannot be reached")]
    Unreachable(#[source] Unreachable),
    /// The answer, or the request, does not follow the protocol. Trying again will not help.
    #[error("the exchange with the broker failed: {what}")]
    Protocol {
        /// What does not follow it.
        what: &'static str,
        /// The details, where there are more.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// Why the broker could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// No connection was made, so nothing was sent.
    #[error("no connection")]
    Connect(#[source] reqwest::Error),
    /// The connection broke, or no answer came in time.
    #[error("no answer")]
    Interrupted(#[source] reqwest::Error),
    /// A live stream was silent for too long.
    #[error("the stream was silent for {0:?}")]
    Silent(Duration),
    /// What [carries](crate::Carrier) the requests did not do so.
    #[error(transparent)]
    NotCarried(#[from] NotCarried),
}

/// An answer of the broker, or of something before it, that is an error.
#[derive(Debug, Clone, PartialEq)]
pub struct ProblemAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Stable: decide by this. `unexpected_answer` when the body was not the broker's.
    pub code: String,
    /// For people.
    pub message: String,
    /// Facts that belong to the code.
    pub details: Option<Value>,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
    /// Under which the broker logged the request.
    pub request_id: Option<String>,
}

impl ProblemAnswer {
    /// The code of an answer whose body is not a problem, such as one from a proxy.
    pub const UNEXPECTED_ANSWER: &'static str = "unexpected_answer";
}

impl fmt::Display for ProblemAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, HTTP {})", self.message, self.code, self.status)
    }
}

impl std::error::Error for ProblemAnswer {}

impl ClientError {
    /// What became of one item of a batch that was not done, with the status that the single call would have had.
    #[must_use]
    pub fn of_item(status: u16, problem: Option<brokkr_api::Problem>) -> Self {
        let (code, message, details) = match problem {
            Some(problem) => (problem.code, problem.message, problem.details),
            None => (
                ProblemAnswer::UNEXPECTED_ANSWER.to_owned(),
                "The broker did not say what is wrong.".to_owned(),
                None,
            ),
        };
        Self::Problem(Box::new(ProblemAnswer {
            status,
            code,
            message,
            details,
            retry_after: None,
            request_id: None,
        }))
    }

    /// The answer, when there was one.
    pub fn problem(&self) -> Option<&ProblemAnswer> {
        match self {
            ClientError::Problem(problem) => Some(problem),
            ClientError::Unreachable(_) | ClientError::Protocol { .. } => None,
        }
    }

    /// The HTTP status of the answer, when there was one.
    pub fn status(&self) -> Option<u16> {
        self.problem().map(|problem| problem.status)
    }

    /// The code of the answer, when there was one.
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| problem.code.as_str())
    }

    /// How long the broker asked to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.problem().and_then(|problem| problem.retry_after)
    }

    /// Whether no answer came.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, ClientError::Unreachable(_))
    }

    /// Whether the request certainly never arrived.
    pub fn never_sent(&self) -> bool {
        matches!(
            self,
            ClientError::Unreachable(
                Unreachable::Connect(_) | Unreachable::NotCarried(NotCarried::NeverSent)
            )
        )
    }

    /// Whether the same call may do better later: no answer, or 429, 502, 503 or 504.
    pub fn is_transient(&self) -> bool {
        self.is_unreachable() || matches!(self.status(), Some(429 | 502 | 503 | 504))
    }

    pub(crate) fn protocol(what: &'static str) -> ClientError {
        ClientError::Protocol { what, source: None }
    }

    pub(crate) fn protocol_from(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ClientError {
        ClientError::Protocol {
            what,
            source: Some(source.into()),
        }
    }
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> ClientError {
        // The URL can be long and says nothing that the caller does not know.
        let error = error.without_url();
        if error.is_builder() {
            ClientError::protocol_from("the request cannot be written", error)
        } else if error.is_connect() {
            ClientError::Unreachable(Unreachable::Connect(error))
        } else {
            ClientError::Unreachable(Unreachable::Interrupted(error))
        }
    }
}
