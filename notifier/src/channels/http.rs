//! HTTP to the outside, by hyper: bounded in time and size, without redirects, and, where people
//! name the address, to public servers only.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request, Uri, header, http};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use tower_service::Service;

use super::{
    Health,
    target::{NotPublic, is_public},
};

/// The most of an answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1_024;

/// Whom requests may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The operator names the server.
    Anywhere,
    /// People name the server: no private address, whatever its name resolves to.
    PublicOnly,
}

/// How connections are made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub reach: Reach,
    /// From the beginning to the whole answer.
    pub timeout: Duration,
    /// Connections that are kept for the next request, a host. A kept one may be closed by the
    /// server just when it is used, and then nobody knows whether the request was read.
    pub idle_connections: usize,
}

/// Makes requests.
pub struct Http {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    timeout: Duration,
}

/// What a server said.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// From `Retry-After`, if it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// Empty if it was cut off or too long: the status stands all the same.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("the request cannot be written")]
    Request,
    #[error("the address is not a public one")]
    NotPublic,
    /// The request was not sent.
    #[error("the server cannot be reached")]
    Unreachable,
    /// It may have been read.
    #[error("the answer was lost")]
    Lost,
    #[error("no answer in time")]
    Late,
}

impl NoAnswer {
    /// What it says of the server.
    pub(super) fn health(self) -> Health {
        match self {
            Self::Unreachable | Self::Lost | Self::Late => Health::Failing,
            Self::Request | Self::NotPublic => Health::NotAsked,
        }
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Http {
    /// # Errors
    /// If the machine has no root certificates.
    pub fn new(settings: Settings) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new_with_resolver(Resolver(settings.reach));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        // So that a server that is away is told from one that does not answer.
        connector.set_connect_timeout(Some(settings.timeout / 2));
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(settings.idle_connections)
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self { client, timeout: settings.timeout })
    }

    /// Posts a body and reads the answer.
    ///
    /// # Errors
    /// By what is known of the request.
    pub async fn post(
        &self,
        uri: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Answer, NoAnswer> {
        let uri: Uri = uri.parse().map_err(|_| NoAnswer::Request)?;
        let mut request = Request::post(uri)
            .body(Full::new(body.into()))
            .map_err(|_: http::Error| NoAnswer::Request)?;
        *request.headers_mut() = headers;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| no_answer(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            Ok(Answer {
                status: parts.status.as_u16(),
                retry_after: retry_after(&parts.headers),
                body: body.map(|body| body.to_bytes()).unwrap_or_default(),
            })
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or(Err(NoAnswer::Late))
    }
}

fn no_answer(error: &hyper_util::client::legacy::Error) -> NoAnswer {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        // An I/O error shows what it holds, not itself, among the sources.
        let held = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if cause.is::<NotPublic>() || held.is_some_and(|held| held.is::<NotPublic>()) {
            return NoAnswer::NotPublic;
        }
        source = cause.source();
    }
    if error.is_connect() { NoAnswer::Unreachable } else { NoAnswer::Lost }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The system's resolver, which finds no private addresses where only public ones are wanted.
/// The addresses that are checked are those that are connected to.
#[derive(Debug, Clone, Copy)]
struct Resolver(Reach);

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            // The connector puts the port in.
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let all = found.len();
            let allowed: Vec<SocketAddr> = match reach {
                Reach::Anywhere => found,
                Reach::PublicOnly => {
                    found.into_iter().filter(|address| is_public(address.ip())).collect()
                }
            };
            if allowed.is_empty() && all > 0 {
                return Err(std::io::Error::other(NotPublic));
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn post(reach: Reach, uri: &str) -> Result<Answer, NoAnswer> {
        let timeout = Duration::from_millis(500);
        let http = Http::new(Settings { reach, timeout, idle_connections: 0 }).unwrap();
        http.post(uri, HeaderMap::new(), "").await
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        assert_eq!(post(Reach::PublicOnly, &uri).await.unwrap_err(), NoAnswer::NotPublic);
        // The same, where it is allowed: connected, and nobody answers.
        assert_eq!(post(Reach::Anywhere, &uri).await.unwrap_err(), NoAnswer::Late);
    }

    #[tokio::test]
    async fn what_was_never_sent_is_told_from_what_was_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            // Closes the connection at once, with the request unread.
            drop(listener.accept().await.unwrap());
        });
        assert_eq!(post(Reach::Anywhere, &uri).await.unwrap_err(), NoAnswer::Lost);
        accepting.await.unwrap();
        assert_eq!(post(Reach::Anywhere, &uri).await.unwrap_err(), NoAnswer::Unreachable);
        assert_eq!(post(Reach::Anywhere, "not an address").await.unwrap_err(), NoAnswer::Request);
    }

    #[test]
    fn a_server_may_ask_for_seconds() {
        for (value, expected) in [("7", Some(7)), (" 0 ", Some(0)), ("soon", None), ("-1", None)] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{value}");
        }
    }
}
