//! How requests leave and answers are read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_api::Problem;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Response, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::carrier::{Carrier, carried};
use crate::page::{Page, next_cursor};
use crate::{ClientConfig, ClientError, ConfigError, ProblemAnswer};

/// The header under which the broker tells how it logged the request.
const REQUEST_ID: &str = "x-request-id";

/// Makes `ring` the process's TLS provider, unless one is installed already. Call it before anything uses TLS.
pub fn install_crypto_provider() {
    // The error only says that another provider came first, and then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client of one broker with one PAK. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    /// Without a slash at its end.
    base_url: String,
    config: ClientConfig,
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client without connecting. Installs the TLS provider when none is.
    ///
    /// # Errors
    /// [`ConfigError`] says which part of the configuration cannot be used.
    pub fn new(config: ClientConfig) -> Result<Client, ConfigError> {
        install_crypto_provider();
        let base_url = usable(&config.base_url)?;
        let authorization = config.pak.as_ref().map(|pak| bearer(pak.expose())).transpose()?;
        let http = http_client(&config)?;
        Ok(Client {
            inner: Arc::new(Inner {
                http,
                base_url,
                config,
                authorization,
            }),
        })
    }

    /// Where the broker is.
    pub fn base_url(&self) -> &Url {
        &self.inner.config.base_url
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// A request without a time limit.
    pub(crate) fn unbounded(&self, method: Method, path: &str) -> RequestBuilder {
        let mut headers = HeaderMap::new();
        if let Some(provider) = &self.inner.config.headers {
            headers.extend(provider());
        }
        if let Some(authorization) = &self.inner.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        self.inner
            .http
            .request(method, format!("{}{path}", self.inner.base_url))
            .headers(headers)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.unbounded(method, path)
            .header(ACCEPT, "application/json")
            .timeout(self.inner.config.request_timeout)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(self.send(self.request(Method::GET, path)).await?).await
    }

    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<Page<T>, ClientError> {
        let answer = self.send(self.request(Method::GET, path).query(query)).await?;
        let next = next_cursor(answer.headers(), self.base_url())?;
        Ok(Page {
            items: read(answer).await?,
            next,
        })
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        read(self.send(self.request(Method::POST, path).json(body)).await?).await
    }

    pub(crate) async fn post_empty<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(self.send(self.request(Method::POST, path)).await?).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        read(self.send(self.request(Method::PUT, path).json(body)).await?).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// The answer, when its status says that the request was done.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let answer = exchange(request, self.inner.config.carrier.as_deref()).await?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            _ => Err(problem_of(answer).await),
        }
    }
}

/// Over HTTP, unless something else carries requests.
async fn exchange(request: RequestBuilder, carrier: Option<&dyn Carrier>) -> Result<Response, ClientError> {
    match carrier {
        None => Ok(request.send().await?),
        Some(carrier) => carried(request.build()?, carrier).await,
    }
}

pub(crate) async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, ClientError> {
    let body = answer.bytes().await?;
    serde_json::from_slice(&body)
        .map_err(|error| ClientError::protocol_from("the answer is not what it should be", error))
}

async fn problem_of(answer: Response) -> ClientError {
    let status = answer.status();
    let retry_after = header(answer.headers(), RETRY_AFTER.as_str())
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let request_id = header(answer.headers(), REQUEST_ID).map(str::to_owned);
    let problem = match answer.bytes().await {
        Ok(body) => serde_json::from_slice(&body).unwrap_or_else(|_| unexpected(status)),
        Err(_) => unexpected(status),
    };
    ClientError::Problem(Box::new(ProblemAnswer {
        status: status.as_u16(),
        code: problem.code,
        message: problem.message,
        details: problem.details,
        retry_after,
        request_id,
    }))
}

fn unexpected(status: StatusCode) -> Problem {
    let reason = status.canonical_reason().unwrap_or("an unknown status");
    Problem::new(
        ProblemAnswer::UNEXPECTED_ANSWER,
        format!("The answer was {reason}, not in the broker's words."),
    )
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn usable(url: &Url) -> Result<String, ConfigError> {
    let usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match usable {
        true => Ok(url.as_str().trim_end_matches('/').to_owned()),
        false => Err(ConfigError::BaseUrl),
    }
}

fn bearer(pak: &str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {pak}")).map_err(|_| ConfigError::Pak)?;
    value.set_sensitive(true);
    Ok(value)
}

fn http_client(config: &ClientConfig) -> Result<reqwest::Client, ConfigError> {
    let builder = reqwest::Client::builder()
        .connect_timeout(config.connect_timeout)
        .user_agent(&config.user_agent)
        // A redirect could carry the PAK to somebody else.
        .redirect(redirect::Policy::none());
    let builder = match &config.root_certificates_pem {
        Some(pem) => {
            let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(ConfigError::RootCertificates)?;
            builder.tls_certs_only(roots)
        }
        // Without TLS the system's certificates are not needed, and a small container has none.
        None if config.base_url.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(ConfigError::Tls)
}
