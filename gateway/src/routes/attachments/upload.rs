//! `PUT /v1/attachments/{attachmentId}/content`: the file itself, to the address that was signed for
//! it. Once it answers, the file is on the disk.

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::put,
};
use parley_commands::{Code, Problem};
use parley_projections::attachments::{Arriving, awaited};
use serde_json::json;
use uuid::Uuid;

use super::{CONTENT_PATH, SignedFor};
use crate::{
    attachments::{Attachments, NotReceived, metrics, receive},
    error::ApiError,
    openapi::Operation,
    routes::{Endpoint, extract::discard},
    state::AppState,
};

pub fn endpoint() -> Endpoint {
    let operation = Operation::open("uploadAttachment", "Upload a file")
        .query("by", &json!({"type": "string"}), "Of the signed address.")
        .query("expires", &json!({"type": "integer"}), "Of the signed address.")
        .query("signature", &json!({"type": "string"}), "Of the signed address.")
        .bytes_body()
        .answers_empty(200, "The file is there.")
        .refuses(400, "invalid_body")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(409, "conflict")
        .refuses(413, "body_too_large")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new("PUT", CONTENT_PATH, put(upload), operation)
}

async fn upload(State(state): State<AppState>, request: Request) -> Response {
    let (mut parts, mut body) = request.into_parts();
    match take(&state, &mut parts, &mut body).await {
        Ok(size) => {
            metrics::UPLOADS.with_label_values(&["kept"]).inc();
            metrics::BYTES.with_label_values(&["in"]).inc_by(size);
            StatusCode::OK.into_response()
        }
        Err(error) => {
            let outcome = if error.0.status < 500 { "refused" } else { "failed" };
            metrics::UPLOADS.with_label_values(&[outcome]).inc();
            let mut response = error.into_response();
            if !discard(body, state.limits.header_timeout).await {
                // What follows on this connection is still the file.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            response
        }
    }
}

/// Its size, once it is kept.
async fn take(state: &AppState, parts: &mut Parts, body: &mut Body) -> Result<u64, ApiError> {
    let SignedFor { id, by } = SignedFor::from_request_parts(parts, state).await?;
    let attachments = super::attachments(state)?;
    let Some((size, is_there)) = awaited(&state.pool, id).await? else {
        return Err(ApiError::no_attachment());
    };
    if is_there {
        return Err(uploaded_already());
    }
    let announced = parts.headers.get(header::CONTENT_LENGTH);
    let announced: Option<u64> = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    match announced {
        Some(length) if length > size => return Err(refused(NotReceived::TooLong, size)),
        Some(received) if received < size => {
            return Err(refused(NotReceived::TooShort { received }, size));
        }
        Some(_) | None => {}
    }
    let busy = || ApiError::unavailable("as many files as may are being uploaded");
    let _slot = attachments.uploads.take(&by).ok_or_else(busy)?;
    write(state, attachments, id, size, body).await?;
    Ok(size)
}

async fn write(
    state: &AppState,
    attachments: &Attachments,
    id: Uuid,
    size: u64,
    body: &mut Body,
) -> Result<(), ApiError> {
    let mut unfinished = attachments.store.begin().await.map_err(disk)?;
    let received = receive(body, &mut unfinished, size, attachments.config.bounds).await;
    received.map_err(|why| refused(why, size))?;
    let finished = unfinished.finish().await.map_err(disk)?;
    // Two that upload the same file: the first one that is whole counts.
    let Some(arriving) = Arriving::begin(&state.pool, id).await? else {
        return Err(uploaded_already());
    };
    attachments.store.keep(id, finished).await.map_err(disk)?;
    arriving.arrived().await?;
    Ok(())
}

fn uploaded_already() -> ApiError {
    Problem::new(Code::Conflict, "the file is uploaded already; reserve another one").into()
}

fn refused(why: NotReceived, size: u64) -> ApiError {
    let detail = format!("{why}: {size} bytes were reserved");
    match why {
        NotReceived::TooLong => Problem::new(Code::BodyTooLarge, detail).into(),
        NotReceived::TooShort { .. } => Problem::new(Code::InvalidBody, detail).into(),
        NotReceived::TooSlow | NotReceived::BrokenOff => ApiError::malformed(why.to_string()),
        NotReceived::Disk(error) => disk(error),
    }
}

fn disk(error: std::io::Error) -> ApiError {
    tracing::error!(%error, "a file cannot be written");
    ApiError::unavailable("files cannot be written at the moment")
}
