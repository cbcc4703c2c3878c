//! What Prometheus sees of a process: all its services count into one registry.
//!
//! Labels name shards, channels and outcomes, never people or conversations.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, TextEncoder,
    core::Collector,
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::Env;

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";
/// Upper bounds for what takes a millisecond at best, in seconds.
pub const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Connections at once; whoever else comes waits.
const CONNECTIONS: usize = 32;
/// From its first byte to the last of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A counter for each value of its labels.
#[must_use]
pub fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels))
}

/// A number that goes up and down for each value of its labels.
#[must_use]
pub fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(IntGaugeVec::new(Opts::new(name, help), labels))
}

/// Times in seconds for each value of its labels.
#[must_use]
pub fn seconds(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    registered(HistogramVec::new(options, labels))
}

#[expect(clippy::expect_used, reason = "names are constants of the program, and used once")]
fn registered<C: Collector + Clone + 'static>(metric: prometheus::Result<C>) -> C {
    let metric = metric.expect("a metric's name and labels are well-formed");
    prometheus::register(Box::new(metric.clone())).expect("a metric's name is used once");
    metric
}

/// Everything that was counted in this process, in the text format.
///
/// # Errors
/// If a metric cannot be written.
pub fn text() -> prometheus::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(8 * 1_024);
    TextEncoder::new().encode(&prometheus::gather(), &mut text)?;
    Ok(text)
}

/// `PARLEY_METRICS_LISTEN`: where `/metrics` is served on a port of its own.
pub fn listen(env: &mut Env) -> Option<SocketAddr> {
    env.opt_socket_addr("PARLEY_METRICS_LISTEN")
}

/// Serves `GET /metrics` and `GET /healthz` until `stop`, for a service that has no other HTTP.
pub async fn serve(listener: TcpListener, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
            () = tokio::time::sleep(REQUEST_TIMEOUT), if connections.len() >= CONNECTIONS => continue,
            () = stop.cancelled() => return,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::debug!(%error, "a connection for metrics failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        connections.spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(socket), service_fn(answer));
            // Whoever hung up does not want it any more.
            drop(timeout(REQUEST_TIMEOUT, served).await);
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, body) = match request.uri().path() {
        "/metrics" | "/healthz" if !is_read => (StatusCode::METHOD_NOT_ALLOWED, Vec::new()),
        "/metrics" => match text() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
            }
        },
        "/healthz" => (StatusCode::OK, b"ok\n".to_vec()),
        _ => (StatusCode::NOT_FOUND, Vec::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static(CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_counted_is_served() {
        let counter = counters("parley_test_total", "A test's", &["outcome"]);
        counter.with_label_values(&["well"]).inc_by(3);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, stop.clone()));
        let ask = move |line: &'static str| {
            tokio::task::spawn_blocking(move || {
                let mut socket = std::net::TcpStream::connect(address).unwrap();
                write!(socket, "{line} HTTP/1.1\r\nhost: here\r\n\r\n").unwrap();
                let mut answer = String::new();
                socket.read_to_string(&mut answer).unwrap();
                answer
            })
        };
        let metrics = ask("GET /metrics").await.unwrap();
        assert!(metrics.contains("parley_test_total{outcome=\"well\"} 3\n"), "{metrics}");
        assert!(ask("GET /healthz").await.unwrap().starts_with("HTTP/1.1 200"));
        assert!(ask("POST /metrics").await.unwrap().starts_with("HTTP/1.1 405"));
        assert!(ask("GET /").await.unwrap().starts_with("HTTP/1.1 404"));
        stop.cancel();
        serving.await.unwrap();
    }
}
