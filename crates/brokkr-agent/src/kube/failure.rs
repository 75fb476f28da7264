//! What is left of a request that did not succeed.

use brokkr_api::FailureClass;

/// A request that failed for good, or for longer than it was tried again.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation}")]
pub struct ApiFailure {
    /// What was tried, as it stands behind "could not": `create Job default/migrate-1a2b3c-1`.
    pub operation: String,
    /// What the API said.
    #[source]
    pub source: ::kube::Error,
}

/// One request was not answered in time.
#[derive(Debug, thiserror::Error)]
#[error("the API did not answer within {seconds} s")]
pub(crate) struct NoAnswer {
    pub(crate) seconds: f64,
}

impl ApiFailure {
    /// Decides about a retry of the order, by the status code alone. What the agent's credential (401) or the load of the
    /// API (408, 429) stood in the way of may succeed another time; every other 4xx refuses the request itself.
    pub fn class(&self) -> FailureClass {
        match self.status() {
            Some(401 | 408 | 429) => FailureClass::Infrastructure,
            Some(400..=499) => FailureClass::Refused,
            _ => FailureClass::Infrastructure,
        }
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match &self.source {
            ::kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }

    /// The failure with everything that led to it, for people.
    pub fn chain(&self) -> String {
        match &self.source {
            ::kube::Error::Api(status) if status.reason.is_empty() => {
                format!("{self}: {} ({})", status.message, status.code)
            }
            ::kube::Error::Api(status) => {
                format!("{self}: {} ({} {})", status.message, status.code, status.reason)
            }
            source => {
                let mut text = format!("{self}: {source}");
                let mut next = std::error::Error::source(source);
                while let Some(error) = next {
                    let cause = error.to_string();
                    // The client's errors repeat what led to them.
                    if !text.contains(&cause) {
                        text.push_str(": ");
                        text.push_str(&cause);
                    }
                    next = error.source();
                }
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ::kube::core::Status;

    use super::*;

    fn failure(code: u16, reason: &str) -> ApiFailure {
        ApiFailure {
            operation: "create Job default/a".to_owned(),
            source: ::kube::Error::Api(Status::failure("no", reason).with_code(code).boxed()),
        }
    }

    #[test]
    fn the_class_follows_from_the_status_alone() {
        for code in [400, 403, 404, 405, 409, 413, 422] {
            assert_eq!(failure(code, "").class(), FailureClass::Refused, "{code}");
        }
        for code in [401, 408, 429, 500, 502, 503, 504] {
            assert_eq!(failure(code, "").class(), FailureClass::Infrastructure, "{code}");
        }
        let unreachable = ApiFailure {
            operation: "create Job default/a".to_owned(),
            source: ::kube::Error::Service(Box::new(NoAnswer { seconds: 30.0 })),
        };
        assert_eq!(unreachable.class(), FailureClass::Infrastructure);
    }

    #[test]
    fn the_chain_says_each_cause_once() {
        let refused = failure(422, "Invalid");
        assert_eq!(
            refused.chain(),
            "could not create Job default/a: no (422 Invalid)"
        );
        let unreachable = ApiFailure {
            operation: "create Job default/a".to_owned(),
            source: ::kube::Error::Service(Box::new(NoAnswer { seconds: 30.0 })),
        };
        let chain = unreachable.chain();
        assert_eq!(chain.matches("30 s").count(), 1, "{chain}");
    }
}
