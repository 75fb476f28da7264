//! Tells receivers over HTTP, as the Standard Webhooks specification says.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook as Signer,
};
use url::{Host, Url};

use super::addresses::{AddressRefused, Guarded, Lookup, SystemLookup};
use crate::config::WebhooksConfig;

/// How much of an answer's body is read and kept, for people: 1 KiB.
const ANSWER_BYTES_MAX: usize = 1_024;
/// The longest wait that a receiver may ask for: an hour.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// The most characters of a URL.
pub(super) const URL_CHARACTERS_MAX: usize = 2_048;

/// A URL that is not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// It is none.
    #[error("url must be an absolute URL of at most {URL_CHARACTERS_MAX} characters")]
    NotAUrl,
    /// Its scheme is another.
    #[error("url must begin with https://{}", if *.http_allowed { " or http://" } else { "; webhooks.allow_http allows http:// as well" })]
    Scheme {
        /// Whether plain HTTP would do.
        http_allowed: bool,
    },
    /// It carries a name or password.
    #[error("url must not carry a user name or password: use auth_header")]
    Credentials,
    /// Its address is none that may be called.
    #[error(transparent)]
    Address(#[from] AddressRefused),
}

/// What is sent.
pub(super) struct Message<'m> {
    pub(super) url: &'m str,
    pub(super) id: String,
    /// In seconds since 1970.
    pub(super) timestamp: i64,
    pub(super) payload: &'m str,
    /// The current secret, and the one before while that is still good.
    pub(super) secrets: Vec<String>,
    pub(super) auth_header: Option<String>,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// The receiver has it.
    Delivered { status: u16 },
    /// It may have it later: after that long, if the receiver said so.
    Later {
        status: Option<u16>,
        error: String,
        after: Option<Duration>,
    },
    /// It does not want it.
    Refused { status: Option<u16>, error: String },
    /// It wants nothing any more.
    Gone { status: u16 },
}

/// Sends to receivers. Connections are shared.
#[derive(Clone)]
pub struct Receivers {
    guarded: Guarded,
    allow_http: bool,
    timeout: Duration,
    /// Made at the first delivery: most brokers have no webhook.
    client: Arc<OnceLock<Result<reqwest::Client, String>>>,
}

impl fmt::Debug for Receivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receivers").finish_non_exhaustive()
    }
}

impl Receivers {
    /// Receivers as configured.
    #[must_use]
    pub fn new(config: &WebhooksConfig) -> Self {
        Self::found_by(config, Arc::new(SystemLookup))
    }

    /// The same, whose names are looked up by `lookup`.
    #[must_use]
    pub fn found_by(config: &WebhooksConfig, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            guarded: Guarded {
                lookup,
                allow_private: config.allow_private_addresses,
            },
            allow_http: config.allow_http,
            timeout: Duration::from_secs(config.timeout_seconds.max(1)),
            client: Arc::default(),
        }
    }

    /// How long a delivery may take at most.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Checks what can be told of a URL without asking anybody. Names are looked at again at each delivery.
    pub(super) fn check(&self, text: &str) -> Result<(), UrlRefused> {
        let url = Url::parse(text).map_err(|_| UrlRefused::NotAUrl)?;
        if text.chars().count() > URL_CHARACTERS_MAX || text.chars().any(char::is_control) {
            return Err(UrlRefused::NotAUrl);
        }
        let good = url.scheme() == "https" || (self.allow_http && url.scheme() == "http");
        if !good {
            let http_allowed = self.allow_http;
            return Err(UrlRefused::Scheme { http_allowed });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefused::Credentials);
        }
        self.check_address(&url)
    }

    fn check_address(&self, url: &Url) -> Result<(), UrlRefused> {
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(UrlRefused::NotAUrl),
        };
        if self.guarded.allows(address) {
            return Ok(());
        }
        let host = address.to_string();
        Err(AddressRefused { host }.into())
    }

    /// Sends once.
    pub(super) async fn send(&self, message: &Message<'_>) -> Sent {
        // The configuration may have become stricter since the webhook was created.
        if let Err(refused) = self.check(message.url) {
            return refused_before(refused.to_string());
        }
        let headers = match headers(message) {
            Ok(headers) => headers,
            Err(error) => return refused_before(error.to_owned()),
        };
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return later(None, error.clone(), None),
        };
        let request = client.post(message.url).headers(headers);
        match request.body(message.payload.to_owned()).send().await {
            Ok(answer) => judge(answer).await,
            Err(error) => unanswered(&error),
        }
    }

    fn client(&self) -> Result<&reqwest::Client, &String> {
        let made = self.client.get_or_init(|| {
            reqwest::Client::builder()
                .dns_resolver(Arc::new(self.guarded.clone()))
                // A redirect could lead to where the broker must not call, and would carry the signature with it.
                .redirect(redirect::Policy::none())
                .no_proxy()
                .timeout(self.timeout)
                .connect_timeout(self.timeout)
                .user_agent(concat!("brokkr/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| format!("no connections can be made: {}", chain(&error)))
        });
        made.as_ref()
    }
}

fn refused_before(error: String) -> Sent {
    Sent::Refused { status: None, error }
}

fn later(status: Option<u16>, error: String, after: Option<Duration>) -> Sent {
    Sent::Later { status, error, after }
}

/// The headers of Standard Webhooks, section "Webhook Metadata and signatures": one signature for each secret.
fn headers(message: &Message<'_>) -> Result<HeaderMap, &'static str> {
    let sign = |secret: &String| {
        let signer = Signer::new(secret).ok()?;
        signer
            .sign(&message.id, message.timestamp, message.payload.as_bytes())
            .ok()
    };
    let signatures: Option<Vec<String>> = message.secrets.iter().map(sign).collect();
    let signatures = signatures.ok_or("the secret is not one")?.join(" ");
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: String| {
        let value = HeaderValue::try_from(value).map_err(|_| "a header has characters that none may have")?;
        headers.insert(HeaderName::from_static(name), value);
        Ok::<_, &'static str>(())
    };
    add(HEADER_WEBHOOK_ID, message.id.clone())?;
    add(HEADER_WEBHOOK_TIMESTAMP, message.timestamp.to_string())?;
    add(HEADER_WEBHOOK_SIGNATURE, signatures)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(text) = &message.auth_header {
        let mut value =
            HeaderValue::try_from(text).map_err(|_| "auth_header has characters that no header may have")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

async fn judge(answer: reqwest::Response) -> Sent {
    let status = answer.status();
    let after = retry_after(answer.headers());
    if status.is_success() {
        return Sent::Delivered {
            status: status.as_u16(),
        };
    }
    let code = status.as_u16();
    let said = beginning(answer).await;
    let error = match said.as_str() {
        "" => format!("answered {status}"),
        said => format!("answered {status}: {said}"),
    };
    match code {
        410 => Sent::Gone { status: code },
        408 | 429 | 500.. => later(Some(code), error, after),
        300..400 => Sent::Refused {
            status: Some(code),
            error: format!(
                "{error} (redirects are not followed: give the webhook the address that it leads to)"
            ),
        },
        _ => Sent::Refused {
            status: Some(code),
            error,
        },
    }
}

/// Only seconds are understood, which is what receivers send.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The beginning of an answer, as printable text.
async fn beginning(answer: reqwest::Response) -> String {
    let mut body = answer.bytes_stream();
    let mut read = Vec::new();
    while read.len() < ANSWER_BYTES_MAX
        && let Some(Ok(bytes)) = body.next().await
    {
        read.extend_from_slice(&bytes[..bytes.len().min(ANSWER_BYTES_MAX - read.len())]);
    }
    String::from_utf8_lossy(&read)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

fn unanswered(error: &reqwest::Error) -> Sent {
    let refused = causes(error).find_map(|cause| cause.downcast_ref::<AddressRefused>());
    match refused {
        // A name may get another address again: it is tried as long as a receiver that is down.
        Some(refused) => later(None, refused.to_string(), None),
        None if error.is_timeout() => later(None, "did not answer in time".to_owned(), None),
        None => later(None, chain(error), None),
    }
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error: &'e (dyn Error + 'static) = *error;
        error.source()
    })
}

/// The causes without the URL, which may have a secret in it.
fn chain(error: &reqwest::Error) -> String {
    let causes: Vec<String> = causes(error).skip(1).map(ToString::to_string).collect();
    if causes.is_empty() {
        "could not be reached".to_owned()
    } else {
        causes.join(": ")
    }
}
