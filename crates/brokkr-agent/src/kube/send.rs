//! Sending one request, and sending it again while that makes sense.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use ::kube::Error;
use ::kube::client::Body;
use ::kube::core::Status;
use ::kube::core::response::StatusDetails;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use crate::backoff::Backoff;
use crate::kube::failure::NoAnswer;
use crate::kube::{ApiFailure, Cluster, ClusterTiming};

/// The longest wait between two tries, unless the API asks for more.
const RETRY_LONGEST: Duration = Duration::from_secs(10);
/// The most of an answer that is no `Status` that is kept, in characters.
const UNKNOWN_ANSWER_MAX: usize = 500;

impl Cluster {
    /// Sends the request until it is answered for good, or for as long as there is patience.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        operation: &str,
        request: &Request<Vec<u8>>,
    ) -> Result<T, ApiFailure> {
        self.send_unless(operation, request, |_| false).await
    }

    /// The same, but an error that is `final_for_caller` is not tried again.
    pub(crate) async fn send_unless<T: DeserializeOwned>(
        &self,
        operation: &str,
        request: &Request<Vec<u8>>,
        final_for_caller: fn(&Error) -> bool,
    ) -> Result<T, ApiFailure> {
        let patient_until = Instant::now() + self.timing.patience;
        let mut backoff = backoff(&self.timing, (request.method(), request.uri()));
        loop {
            let error = match self.send_once(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = backoff.next(retry_after(&error));
            let patient = Instant::now() + wait <= patient_until;
            if !patient || !may_pass(request.method(), &error) || final_for_caller(&error) {
                return Err(ApiFailure {
                    operation: operation.to_owned(),
                    source: error,
                });
            }
            debug!(%error, wait_seconds = wait.as_secs_f64(), "could not {operation}, trying again");
            sleep(wait).await;
        }
    }

    /// Sends the request one time, for no longer than a request may take.
    pub(crate) async fn send_once<T: DeserializeOwned>(
        &self,
        request: &Request<Vec<u8>>,
    ) -> Result<T, Error> {
        let limit = self.timing.request_limit;
        timeout(limit, self.exchange(request.clone()))
            .await
            .unwrap_or_else(|_| Err(no_answer(limit)))
    }

    async fn exchange<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T, Error> {
        let (head, body) = self.client.send(request.map(Body::from)).await?.into_parts();
        let bytes = body.collect_bytes().await?;
        if head.status.is_success() {
            return serde_json::from_slice(&bytes).map_err(Error::SerdeError);
        }
        Err(Error::Api(Box::new(status_of(
            head.status,
            &head.headers,
            &bytes,
        ))))
    }
}

/// Waits that are different for each process and each thing that is asked for.
pub(crate) fn backoff(timing: &ClusterTiming, what: impl Hash) -> Backoff {
    let mut hasher = DefaultHasher::new();
    (std::process::id(), what).hash(&mut hasher);
    let longest = RETRY_LONGEST.max(timing.retry_first);
    Backoff::new(hasher.finish(), timing.retry_first, longest)
}

pub(crate) fn no_answer(limit: Duration) -> Error {
    Error::Service(Box::new(NoAnswer {
        seconds: limit.as_secs_f64(),
    }))
}

/// Whether the same request may succeed later.
fn may_pass(method: &Method, error: &Error) -> bool {
    match error {
        Error::Api(status) => match status.code {
            408 | 429 | 500..=599 => true,
            // A patch names no version, so somebody else's write stood in its way for a moment, unless fields are theirs.
            409 => method == Method::PATCH && managers_conflicts(status).next().is_none(),
            _ => false,
        },
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) | Error::Auth(_) => true,
        _ => false,
    }
}

/// The fields that other managers hold, by `metav1.CauseTypeFieldManagerConflict`: (field, what the API says of its manager).
pub(crate) fn managers_conflicts(status: &Status) -> impl Iterator<Item = (&str, &str)> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| (cause.field.as_str(), cause.message.as_str()))
}

fn retry_after(error: &Error) -> Option<Duration> {
    let Error::Api(status) = error else {
        return None;
    };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (0 < seconds).then(|| Duration::from_secs(seconds.into()))
}

/// The `Status` of an answer, made up where a proxy or the API's flow control (which answers in plain text) sent none.
fn status_of(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Status {
    let mut status = serde_json::from_slice(body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(body);
        let text: String = text.trim().chars().take(UNKNOWN_ANSWER_MAX).collect();
        Status::failure(&text, code.canonical_reason().unwrap_or_default())
    });
    status.code = code.as_u16();
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    if let Some(seconds) = asked.and_then(|text| text.parse().ok()) {
        let details = status.details.get_or_insert_with(no_details);
        details.retry_after_seconds = details.retry_after_seconds.max(seconds);
    }
    status
}

fn no_details() -> StatusDetails {
    StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(code: u16, headers: &HeaderMap, body: &str) -> Error {
        let code = StatusCode::from_u16(code).unwrap();
        Error::Api(Box::new(status_of(code, headers, body.as_bytes())))
    }

    #[test]
    fn the_header_and_the_body_both_say_how_long_to_wait() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let plain = answer(429, &headers, "Too many requests, please try again later.\n");
        assert_eq!(retry_after(&plain), Some(Duration::from_secs(7)));

        let body = json!({"kind": "Status", "code": 429, "details": {"retryAfterSeconds": 3}}).to_string();
        let in_body = answer(429, &HeaderMap::new(), &body);
        assert_eq!(retry_after(&in_body), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(&answer(500, &HeaderMap::new(), "{}")), None);
    }

    #[test]
    fn an_answer_that_is_no_status_keeps_its_code_and_its_first_words() {
        let page = "<html>".repeat(1000);
        let Error::Api(status) = answer(502, &HeaderMap::new(), &page) else {
            panic!("not an answer");
        };
        assert_eq!((status.code, status.message.len()), (502, UNKNOWN_ANSWER_MAX));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        let none = HeaderMap::new();
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(may_pass(&Method::POST, &answer(code, &none, "{}")), "{code}");
        }
        for code in [400, 401, 403, 404, 409, 410, 413, 422] {
            assert!(!may_pass(&Method::POST, &answer(code, &none, "{}")), "{code}");
        }
        assert!(may_pass(&Method::POST, &no_answer(Duration::from_secs(1))));
    }

    #[test]
    fn a_patch_gets_past_another_writer_but_not_past_another_manager() {
        let none = HeaderMap::new();
        assert!(may_pass(&Method::PATCH, &answer(409, &none, "{}")));
        let cause = json!({"reason": "FieldManagerConflict", "field": ".spec.replicas", "message": "conflict with \"hpa\""});
        let held = json!({"reason": "Conflict", "details": {"causes": [cause]}}).to_string();
        assert!(!may_pass(&Method::PATCH, &answer(409, &none, &held)));
    }
}
