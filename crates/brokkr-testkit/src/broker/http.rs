//! Requests that no client would send.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::TestBroker;

const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// An answer, whatever it is.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.expect("the broker answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.expect("the answer can be read");
        Self {
            status,
            headers,
            text,
        }
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The `code` of an error body; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's text; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl TestBroker {
    /// Writes bytes to a new connection and reads until the broker closes it or has been silent for long. They should ask
    /// for `Connection: close`.
    ///
    /// # Panics
    /// When no connection can be made.
    pub async fn send_bytes(&self, bytes: &[u8]) -> String {
        let address = self
            .url()
            .socket_addrs(|| None)
            .expect("the broker has an address");
        let mut connection = TcpStream::connect(&*address).await.expect("the broker listens");
        // The broker may answer and close before it has read everything.
        let _ = connection.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(ANSWER_TIME_MAX, connection.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}
