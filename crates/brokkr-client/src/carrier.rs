//! Carrying requests by other means than HTTP connections, such as straight to a broker in the same process.

use std::pin::Pin;

use reqwest::{Request, Response};

use crate::{ClientError, Unreachable};

/// A request that is being carried.
pub type Carriage<'c> =
    Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, NotCarried>> + Send + 'c>>;

/// Carries requests to the broker, and answers back.
pub trait Carrier: Send + Sync {
    /// Carries one request. It is dropped when the client does not wait any longer.
    fn carry(&self, request: http::Request<Vec<u8>>) -> Carriage<'_>;
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCarried {
    /// The request was not even sent.
    #[error("no connection")]
    NeverSent,
    /// The request may have arrived.
    #[error("no answer")]
    NoAnswer,
}

/// The answer to a request that goes by this carrier, within the request's time limit.
pub(crate) async fn carried(request: Request, carrier: &dyn Carrier) -> Result<Response, ClientError> {
    let limit = request.timeout().copied();
    let request = http::Request::try_from(request)?;
    let (head, body) = request.into_parts();
    let body = body.as_bytes().unwrap_or_default().to_vec();
    let carriage = carrier.carry(http::Request::from_parts(head, body));
    let answer = match limit {
        None => carriage.await,
        Some(limit) => tokio::time::timeout(limit, carriage)
            .await
            .unwrap_or(Err(NotCarried::NoAnswer)),
    };
    Ok(answer
        .map_err(Unreachable::from)
        .map_err(ClientError::Unreachable)?
        .into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::{Client, ClientConfig};

    /// Answers `/healthz`, cannot be reached for `/readyz`, and never answers anything else.
    struct Pigeon;

    impl Carrier for Pigeon {
        fn carry(&self, request: http::Request<Vec<u8>>) -> Carriage<'_> {
            Box::pin(async move {
                match request.uri().path() {
                    "/healthz" => Ok(http::Response::new(b"OK".to_vec())),
                    "/readyz" => Err(NotCarried::NeverSent),
                    _ => std::future::pending().await,
                }
            })
        }
    }

    fn client() -> Client {
        let mut config = ClientConfig::new("http://broker.test".parse().unwrap());
        config.request_timeout = Duration::from_millis(10);
        config.carrier = Some(Arc::new(Pigeon));
        Client::new(config).unwrap()
    }

    #[tokio::test]
    async fn a_carrier_takes_the_place_of_connections() {
        assert!(client().healthz().await.is_ok());
        assert!(client().readyz().await.unwrap_err().never_sent());
    }

    #[tokio::test]
    async fn what_is_not_answered_in_time_may_have_arrived() {
        let silent = client().metrics().await.unwrap_err();
        assert!(silent.is_unreachable() && !silent.never_sent());
    }
}
