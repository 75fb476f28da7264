//! How the broker itself is.

use brokkr_api::paths;
use http::Method;
use http::header::DATE;
use serde_json::Value;

use crate::transport::header;
use crate::{Client, ClientError};

impl Client {
    /// Whether the broker's process answers. The answer is its `Date` header (RFC 9110, whole seconds), to compare clocks.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn healthz(&self) -> Result<Option<String>, ClientError> {
        let answer = self.send(self.request(Method::GET, paths::HEALTHZ)).await?;
        Ok(header(answer.headers(), DATE.as_str()).map(str::to_owned))
    }

    /// Succeeds when the broker can serve.
    ///
    /// # Errors
    /// 503 while it cannot.
    pub async fn readyz(&self) -> Result<(), ClientError> {
        self.send(self.request(Method::GET, paths::READYZ))
            .await
            .map(drop)
    }

    /// The broker's metrics, as Prometheus text.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        Ok(self
            .send(self.request(Method::GET, paths::METRICS))
            .await?
            .text()
            .await?)
    }

    /// The description of the broker's API.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn openapi(&self) -> Result<Value, ClientError> {
        self.get(paths::OPENAPI).await
    }
}
