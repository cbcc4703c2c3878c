//! `GET /v1/attachments/{attachmentId}/content`: the file itself, from the address that was signed
//! for whoever may see it.

use std::io::SeekFrom;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parley_domain::body::File;
use parley_projections::attachments::served;
use serde_json::json;
use tokio::io::AsyncSeekExt;

use super::{CONTENT_PATH, SignedFor};
use crate::{
    attachments::{Part, content_disposition, part, send},
    error::ApiError,
    openapi::Operation,
    routes::Endpoint,
    state::AppState,
};

/// Whatever a browser takes the file for, it may do nothing.
const POLICY: &str = "sandbox; default-src 'none'";

pub fn endpoint() -> Endpoint {
    let bytes = json!({"type": "string", "format": "binary"});
    let operation = Operation::open("downloadAttachment", "Download a file")
        .query("by", &json!({"type": "string"}), "Of the signed address.")
        .query("expires", &json!({"type": "integer"}), "Of the signed address.")
        .query("signature", &json!({"type": "string"}), "Of the signed address.")
        .answers_with(200, "*/*", &bytes, "The file.")
        .answers_with(206, "*/*", &bytes, "The part that `Range` asks for.")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .answers_empty(416, "There is no such part.")
        .refuses(503, "unavailable");
    Endpoint::new("GET", CONTENT_PATH, get(download), operation)
}

async fn download(
    State(state): State<AppState>,
    SignedFor { id, by }: SignedFor,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let attachments = super::attachments(&state)?;
    let Some(about) = served(&state.pool, id).await? else {
        return Err(ApiError::no_attachment());
    };
    let size = about.size_bytes;
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (first, length, status) = match part(asked, size) {
        Part::All => (0, size, StatusCode::OK),
        Part::Bytes(first, last) => (first, last - first + 1, StatusCode::PARTIAL_CONTENT),
        Part::None => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let busy = || ApiError::unavailable("as many files as may are being downloaded");
        let slot = attachments.downloads.take(&by).ok_or_else(busy)?;
        let mut file = attachments.store.read(id).await.map_err(unreadable)?.ok_or_else(|| {
            tracing::error!(attachment = %id, "the store lacks a file");
            ApiError::no_attachment()
        })?;
        file.seek(SeekFrom::Start(first)).await.map_err(unreadable)?;
        send(file, length, attachments.config.bounds, slot)
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    describe(headers, &about)?;
    headers.insert(header::CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let last = first + length - 1;
        headers.insert(header::CONTENT_RANGE, value(format!("bytes {first}-{last}/{size}"))?);
    }
    Ok(response)
}

fn describe(headers: &mut HeaderMap, about: &File) -> Result<(), ApiError> {
    let mut put = |name: HeaderName, text: &'static str| {
        headers.insert(name, HeaderValue::from_static(text));
    };
    put(header::ACCEPT_RANGES, "bytes");
    put(header::CACHE_CONTROL, "private, no-store");
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    put(header::REFERRER_POLICY, "no-referrer");
    headers.insert(header::CONTENT_TYPE, value(about.content_type.clone())?);
    let disposition = content_disposition(&about.file_name, &about.content_type);
    headers.insert(header::CONTENT_DISPOSITION, value(disposition)?);
    Ok(())
}

fn value(text: String) -> Result<HeaderValue, ApiError> {
    HeaderValue::try_from(text).map_err(|error| {
        tracing::error!(%error, "a file cannot be described");
        ApiError::internal()
    })
}

fn unreadable(error: std::io::Error) -> ApiError {
    tracing::error!(%error, "a file cannot be read");
    ApiError::unavailable("files cannot be read at the moment")
}
