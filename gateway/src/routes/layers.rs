//! What happens around every request: its span, its metrics, its time limit, and the safety net
//! under a handler that panics.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tracing::{Instrument, field};

use super::{attachments, sync};
use crate::{error::ApiError, state::AppState};

/// The route of everything that has none, in metrics.
const NO_ROUTE: &str = "none";

pub async fn observe(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let span = tracing::info_span!(
        "gateway.http.request",
        method,
        route,
        status = field::Empty,
        duration_ms = field::Empty
    );
    let limit = state.limits.request_timeout + allowance(&state, route);
    let response = guard(limit, next.run(request)).instrument(span.clone()).await;
    let took = started.elapsed();
    let status = response.status();
    span.record("status", status.as_u16());
    span.record("duration_ms", u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    span.in_scope(|| tracing::debug!("answered"));
    state.metrics.request(method, route, status.as_u16(), took);
    response
}

/// What a route may take beyond that: a long poll waits on purpose, and a file takes its time.
fn allowance(state: &AppState, route: &str) -> Duration {
    match (route, &state.attachments) {
        (sync::PATH, _) => sync::MAX_WAIT,
        (attachments::CONTENT_PATH, Some(attachments)) => attachments.config.bounds.transfer,
        _ => Duration::ZERO,
    }
}

/// A client's own invention must not make a new time series.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// An answer in time, whatever the handler does.
async fn guard(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(limit, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        // The panic hook has said where; this says that it did not take more than one request.
        Ok(Err(_)) => {
            tracing::error!("a handler panicked");
            ApiError::internal().into_response()
        }
        Err(_) => ApiError::unavailable("the answer took too long").into_response(),
    }
}

/// Lets the pages of allowed origins use the interface with a cookie or a header (CORS), and tells
/// caches that answers differ by origin. Other origins get no such permission.
pub async fn cross_origin(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let allowed = request
        .headers()
        .get(header::ORIGIN)
        .filter(|origin| origin.to_str().is_ok_and(|origin| state.origins.contains(origin)))
        .cloned();
    let Some(origin) = allowed else {
        return next.run(request).await;
    };
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        let mut response = StatusCode::NO_CONTENT.into_response();
        permit(response.headers_mut());
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

fn permit(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, last-event-id"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(15);

    #[tokio::test]
    async fn a_handler_that_panics_answers_500() {
        let answer = guard(LIMIT, async { panic!("a test's own") }).await;
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], crate::error::PROBLEM_JSON);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_answers_503() {
        let answer = guard(LIMIT, std::future::pending()).await;
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn made_up_methods_are_one_label() {
        assert_eq!(method_label(&Method::PATCH), "PATCH");
        assert_eq!(method_label(&"BREW".parse().unwrap()), "other");
    }
}
