//! How to reach the broker.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_api::PakText;
use http::HeaderMap;
use url::Url;

use crate::Carrier;

/// Gives the headers to add to a request that is about to leave, such as `traceparent`.
pub type HeaderProvider = Arc<dyn Fn() -> HeaderMap + Send + Sync>;

/// How to reach the broker, and as whom.
#[derive(Clone)]
pub struct ClientConfig {
    /// Where the broker is, `http` or `https`. A path is a prefix of all paths.
    pub base_url: Url,
    /// As whom to call. Without it only the health endpoints answer.
    pub pak: Option<PakText>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an answer may take, from the first byte sent to the last received. A long poll may take its wait longer.
    pub request_timeout: Duration,
    /// How long a live stream may be silent. The broker sends something every 15 seconds.
    pub stream_idle_timeout: Duration,
    /// Named to the broker as `User-Agent`.
    pub user_agent: String,
    /// Certificates to trust, as PEM, instead of those of the system.
    pub root_certificates_pem: Option<Vec<u8>>,
    /// Adds headers to each request.
    pub headers: Option<HeaderProvider>,
    /// Carries requests instead of HTTP connections.
    pub carrier: Option<Arc<dyn Carrier>>,
}

impl ClientConfig {
    /// The defaults for a broker at `base_url`: 5 s to connect, 30 s to answer, 60 s of silence in a live stream.
    pub fn new(base_url: Url) -> ClientConfig {
        ClientConfig {
            base_url,
            pak: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            stream_idle_timeout: Duration::from_secs(60),
            user_agent: concat!("brokkr/", env!("CARGO_PKG_VERSION")).to_owned(),
            root_certificates_pem: None,
            headers: None,
            carrier: None,
        }
    }

    /// The same, calling with `pak`.
    pub fn with_pak(self, pak: PakText) -> ClientConfig {
        ClientConfig {
            pak: Some(pak),
            ..self
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("base_url", &self.base_url.as_str())
            .field("pak", &self.pak)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not `http` or `https`, or with credentials, a query or a fragment.
    #[error("the broker's URL must be http:// or https://, without credentials, query or fragment")]
    BaseUrl,
    /// It has characters that no PAK has.
    #[error("the PAK has characters that cannot be sent")]
    Pak,
    /// The PEM text could not be read.
    #[error("the trusted certificates cannot be read")]
    RootCertificates(#[source] reqwest::Error),
    /// Such as a system without trusted certificates.
    #[error("the TLS setup failed")]
    Tls(#[source] reqwest::Error),
}
