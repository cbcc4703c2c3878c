//! How a "no" looks over HTTP: the only place of the gateway that knows error statuses. The close
//! codes of WebSockets are [`Close`](crate::realtime::protocol::Close)'s.

use axum::{
    extract::rejection::{JsonRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use parley_commands::problem::{Code, Problem};
use parley_domain::InvalidId;

use crate::{auth::AuthError, realtime::pages::NoPage};

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An answer that is a problem; what every handler fails with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError(pub Problem);

impl ApiError {
    /// A conversation that the caller is not a member of does not exist for them.
    pub fn no_conversation() -> Self {
        Problem::new(Code::NotFound, "there is no such conversation").into()
    }

    /// Nor does a file that is in no message that they see.
    pub fn no_attachment() -> Self {
        Problem::new(Code::NotFound, "there is no such attachment").into()
    }

    pub fn no_route() -> Self {
        Problem::new(Code::NotFound, "there is no such resource").into()
    }

    pub fn wrong_method() -> Self {
        Problem::new(Code::MethodNotAllowed, "the resource does not take this method").into()
    }

    pub fn forbidden(detail: &str) -> Self {
        Problem::new(Code::Forbidden, detail).into()
    }

    /// A request that is not of the form that the contract gives it.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Problem::malformed(detail).into()
    }

    pub fn body_too_large(max_bytes: usize) -> Self {
        let detail = format!("a body has {max_bytes} bytes at most");
        Problem::new(Code::BodyTooLarge, detail).into()
    }

    pub fn not_json() -> Self {
        Problem::new(Code::UnsupportedMediaType, "the body must be application/json").into()
    }

    /// The connection broke off, or is not HTTP any more.
    pub fn unreadable_body() -> Self {
        Self::malformed("the body cannot be read")
    }

    pub fn unavailable(detail: &str) -> Self {
        Problem::unavailable(detail).into()
    }

    /// A mistake of ours: what it was is for the log, not for the caller.
    pub fn internal() -> Self {
        Problem::new(Code::Internal, "the server made a mistake; it has been logged").into()
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<InvalidId> for ApiError {
    fn from(invalid: InvalidId) -> Self {
        Self(invalid.into())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let detail = error.to_string();
        Self(match error {
            AuthError::Missing
            | AuthError::Scheme
            | AuthError::Invalid
            | AuthError::Expired
            | AuthError::Unlinked
            | AuthError::Subject => Problem::new(Code::Unauthenticated, detail),
            AuthError::KeysUnavailable => Problem::unavailable(detail),
            AuthError::Origin => Problem::new(Code::Forbidden, detail),
        })
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::MissingJsonContentType(_) => Self::not_json(),
            // Wrong types and missing fields too: the contract has 422 for meaning only.
            JsonRejection::JsonDataError(error) => Self::malformed(error.body_text()),
            JsonRejection::JsonSyntaxError(error) => Self::malformed(error.body_text()),
            JsonRejection::BytesRejection(_) | _ => Self::unreadable_body(),
        }
    }
}

impl From<parley_projections::Failure> for ApiError {
    /// Logs it: callers are told what is away, not why.
    fn from(failure: parley_projections::Failure) -> Self {
        if failure.is_temporary() {
            tracing::warn!(%failure, "the views cannot be read");
            Self::unavailable("history is away; sending goes on")
        } else {
            tracing::error!(%failure, "the views cannot be understood");
            Self::internal()
        }
    }
}

impl From<NoPage> for ApiError {
    fn from(none: NoPage) -> Self {
        match none {
            NoPage::Cursor => Self::malformed("since is not a token that was given out"),
            NoPage::End => Self::unavailable("the log cannot be reached"),
            NoPage::Views(failure) => failure.into(),
            NoPage::Write(error) => {
                tracing::error!(%error, "a sync cannot be written");
                Self::internal()
            }
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::malformed(rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.0;
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(millis) = problem.retry_after_ms {
            // The header counts whole seconds; zero would invite a storm.
            headers.insert(header::RETRY_AFTER, millis.div_ceil(1_000).max(1).into());
        }
        if problem.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Sent, as it is, to whoever connects when the gateway is full; then the socket is closed.
pub const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n\
      Retry-After: 5\r\nConnection: close\r\nContent-Length: 124\r\n\r\n\
      {\"type\":\"about:blank\",\"title\":\"Try again in a moment\",\"status\":503,\
      \"code\":\"unavailable\",\"detail\":\"full\",\"retryAfterMs\":5000}";

#[cfg(test)]
mod tests {
    use axum::{Json, extract::FromRequest, http::Request};

    use super::*;

    fn answer(error: impl Into<ApiError>) -> (u16, Option<String>, Problem) {
        let response = error.into().into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
        let status = response.status().as_u16();
        let retry = response.headers().get(header::RETRY_AFTER);
        let retry = retry.map(|value| value.to_str().unwrap().to_owned());
        let body = futures_util::FutureExt::now_or_never(http_body_util::BodyExt::collect(
            response.into_body(),
        ));
        let problem: Problem = serde_json::from_slice(&body.unwrap().unwrap().to_bytes()).unwrap();
        assert_eq!(problem.status, status);
        (status, retry, problem)
    }

    #[test]
    fn every_code_has_its_status() {
        for (code, status) in [
            (Code::InvalidId, 400),
            (Code::Unauthenticated, 401),
            (Code::Forbidden, 403),
            (Code::Blocked, 403),
            (Code::NotSender, 403),
            (Code::NotFound, 404),
            (Code::NotMember, 404),
            (Code::GroupFull, 409),
            (Code::MethodNotAllowed, 405),
            (Code::TooLate, 409),
            (Code::TooManyReactions, 409),
            (Code::ClientMessageIdReused, 409),
            (Code::TooManyDevices, 409),
            (Code::LimitReached, 409),
            (Code::Conflict, 409),
            (Code::BodyTooLarge, 413),
            (Code::UnsupportedMediaType, 415),
            (Code::InvalidBody, 422),
            (Code::InvalidAttachment, 422),
            (Code::BeyondLastMessage, 422),
            (Code::RateLimited, 429),
            (Code::Internal, 500),
            (Code::Unavailable, 503),
        ] {
            let (answered, _, problem) = answer(Problem::new(code, "why"));
            assert_eq!((answered, problem.code), (status, code));
        }
    }

    #[test]
    fn every_auth_error_is_a_401_403_or_503() {
        for (error, status) in [
            (AuthError::Missing, 401),
            (AuthError::Scheme, 401),
            (AuthError::Invalid, 401),
            (AuthError::Expired, 401),
            (AuthError::Unlinked, 401),
            (AuthError::Subject, 401),
            (AuthError::Origin, 403),
            (AuthError::KeysUnavailable, 503),
        ] {
            let response = ApiError::from(error).into_response();
            let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
            assert_eq!((response.status().as_u16(), challenged), (status, status == 401));
        }
    }

    #[test]
    fn what_may_be_over_soon_says_when_to_try_again() {
        let (status, retry, problem) = answer(ApiError::unavailable("away"));
        assert_eq!((status, retry.as_deref()), (503, Some("1")));
        assert_eq!(problem.retry_after_ms, Some(1_000));
        let soon = Problem { retry_after_ms: Some(1), ..Problem::new(Code::RateLimited, "") };
        assert_eq!(answer(soon).1.as_deref(), Some("1"));
        assert_eq!(answer(Problem::new(Code::NotFound, "")).1, None);
    }

    #[tokio::test]
    async fn json_that_is_wrong_is_a_400_and_another_type_a_415() {
        let json = "application/json";
        for (content_type, body, status) in [
            (json, "{", 400),
            (json, "", 400),
            (json, "[\"1\"]", 400),
            (json, "{}", 400),
            ("text/plain", "[1]", 415),
        ] {
            let request = Request::builder()
                .header(header::CONTENT_TYPE, content_type)
                .body(axum::body::Body::from(body))
                .unwrap();
            let rejection = Json::<Vec<u8>>::from_request(request, &()).await.unwrap_err();
            assert_eq!(answer(rejection).0, status, "{body}");
        }
    }

    #[test]
    fn the_full_answer_is_whole_http() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
        let problem: Problem = serde_json::from_str(body).unwrap();
        assert_eq!((problem.status, problem.code), (503, Code::Unavailable));
    }
}
