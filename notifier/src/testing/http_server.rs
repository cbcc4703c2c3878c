//! An HTTP server that answers as it is told.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use parley_domain::Timestamp;
use parley_runtime::clock::{Clock, SystemClock};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    Status(u16, &'static [(&'static str, &'static str)], String),
    /// The request is read, and nobody is told.
    Hang,
    Drop,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self::Status(status, &[], String::new())
    }
}

/// A request that was read.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Timestamp,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A field of a form; empty if there is none.
    pub fn field(&self, name: &str) -> String {
        let mut fields = url::form_urlencoded::parse(&self.body);
        fields.find(|(found, _)| found == name).map_or_else(String::new, |(_, value)| value.into())
    }
}

struct State {
    replies: VecDeque<Reply>,
    otherwise: Reply,
    seen: Vec<Seen>,
}

/// Listens until it is dropped.
pub struct HttpServer {
    pub url: String,
    /// In PEM, if it speaks TLS.
    pub certificate: Option<String>,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HttpServer {
    pub async fn start(otherwise: Reply) -> Self {
        Self::listen(otherwise, false).await
    }

    /// At `https://localhost`.
    pub async fn start_tls(otherwise: Reply) -> Self {
        Self::listen(otherwise, true).await
    }

    async fn listen(otherwise: Reply, is_private: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (url, acceptor, certificate) = if is_private {
            let (acceptor, certificate) = super::tls();
            (format!("https://localhost:{}", address.port()), Some(acceptor), Some(certificate))
        } else {
            (format!("http://{address}"), None, None)
        };
        let state = State { replies: VecDeque::new(), otherwise, seen: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                let Some(acceptor) = acceptor.clone() else {
                    tokio::spawn(serve(stream, shared));
                    continue;
                };
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, shared).await;
                    }
                });
            }
        });
        Self { url, certificate, state, task }
    }

    /// The next answers, before the usual one.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().replies.extend(replies);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| answer(Arc::clone(&state), request));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that goes away, or is left, is what some tests are about.
    drop(serving.await);
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let reply = {
        let mut state = state.lock().unwrap();
        let at = Timestamp::from_unix_millis(SystemClock.now_millis());
        state.seen.push(Seen { at, path: parts.uri.to_string(), headers: parts.headers, body });
        state.replies.pop_front().unwrap_or_else(|| state.otherwise.clone())
    };
    match reply {
        Reply::Status(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            Ok(response.body(Full::from(body)).unwrap())
        }
        Reply::Hang => {
            std::future::pending::<Result<_, Infallible>>().await.map_err(|e| match e {})
        }
        Reply::Drop => Err(Dropped),
    }
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped, as told")]
struct Dropped;
