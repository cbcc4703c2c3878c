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
use tokio::net::TcpListener;

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
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State { replies: VecDeque::new(), otherwise, seen: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A client that goes away, or is left, is what some tests are about.
                tokio::spawn(async move { drop(serving.await) });
            }
        });
        Self { url, state, task }
    }

    /// The next answers, before the usual one.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().replies.extend(replies);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let reply = {
        let mut state = state.lock().unwrap();
        state.seen.push(Seen { path: parts.uri.to_string(), headers: parts.headers, body });
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
