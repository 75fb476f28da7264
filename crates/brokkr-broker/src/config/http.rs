//! Where the broker listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the broker listens, and how.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// The address and port. Port 0 takes a free one.
    #[schema(value_type = String)]
    pub listen: SocketAddr,
    /// With it the broker speaks TLS; without it, plain HTTP.
    pub tls: Option<TlsConfig>,
    /// How long requests in flight have to finish when the broker stops, in seconds.
    pub stop_seconds_max: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)),
            tls: None,
            stop_seconds_max: 30,
        }
    }
}

/// The broker's certificate.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and its chain, PEM.
    #[schema(value_type = String)]
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    #[schema(value_type = String)]
    pub key_file: PathBuf,
}
