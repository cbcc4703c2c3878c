//! `POST /v1/attachments`: reserve a file, and get the address to upload it to.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use parley_commands::{Code, Problem, Request};
use parley_domain::{
    Action, ConversationId, Kind, Scope, Timestamp,
    body::{File, InvalidBody},
};
use parley_projections::{
    attachments::{Reservation, reserve as note},
    queries,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    attachments::Method,
    auth::Identity,
    error::ApiError,
    openapi::Operation,
    rates::limited,
    routes::{
        Endpoint,
        extract::{Caller, JsonBody, public_url},
    },
    state::AppState,
};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("reserveAttachment", "Reserve a file, to be uploaded")
        .body("ReserveAttachment")
        .answers(201, "ReservedAttachment", "Upload it as this says, once, until it expires.")
        .refuses(400, "invalid_id")
        .refuses(403, "blocked")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(422, "invalid_body")
        .refuses(429, "rate_limited")
        .refuses(503, "unavailable");
    Endpoint::new("POST", "/v1/attachments", post(reserve), operation)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reserve {
    conversation_id: String,
    #[serde(flatten)]
    file: File,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reserved {
    attachment_id: Uuid,
    upload_url: String,
    method: &'static str,
    headers: Value,
    expires_at: Timestamp,
}

async fn reserve(
    State(state): State<AppState>,
    Caller(caller): Caller,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Reserve>,
) -> Result<Response, ApiError> {
    let attachments = super::attachments(&state)?;
    let conversation_id = ConversationId::parse(&body.conversation_id)?;
    let file = body.file.validated(attachments.config.max_bytes).map_err(refused)?;
    let url = public_url(&state, &headers)?;
    may_send(&state, &caller, &conversation_id).await?;
    let most = match caller.scope {
        Scope::User => {
            state.commands.rates().attachment(&caller.user_id).await?;
            attachments.config.day_bytes
        }
        Scope::Service => None,
    };
    let (attachment_id, content_type) = (Uuid::now_v7(), file.content_type.clone());
    let uploader_id = caller.user_id.clone();
    let reservation = Reservation { attachment_id, uploader_id, conversation_id, file };
    if let Some(wait) = note(&state.pool, &reservation, most).await? {
        return Err(limited("these are more bytes than a person may attach in a day", wait).into());
    }
    let ttl = i64::try_from(attachments.config.upload_url_ttl.as_millis()).unwrap_or(i64::MAX);
    let expires_at = Timestamp::from_unix_millis(state.now().unix_millis().saturating_add(ttl));
    let addresses = &attachments.addresses;
    let address = addresses.sign(Method::Put, attachment_id, &caller.user_id, expires_at);
    let reserved = Reserved {
        attachment_id,
        upload_url: url.at(&address),
        method: "PUT",
        headers: json!({"content-type": content_type}),
        expires_at,
    };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, Json(reserved)).into_response())
}

fn refused(invalid: InvalidBody) -> Problem {
    invalid.into()
}

/// Whether a message would be accepted now. Sending decides it again.
async fn may_send(
    state: &AppState,
    caller: &Identity,
    id: &ConversationId,
) -> Result<(), ApiError> {
    let seen = queries::summary(&state.pool, id, &caller.user_id, state.now()).await?;
    let Some(summary) = seen else {
        if id.kind() == Kind::Direct {
            return Err(ApiError::no_conversation());
        }
        // The views may be behind. This changes nothing, and strangers are refused.
        let request = Request {
            conversation_id: id.clone(),
            actor: caller.actor(),
            action: Action::MarkDelivered { through_seq: 0 },
            traceparent: None,
        };
        state.commands.execute(request).await?;
        return Ok(());
    };
    if summary.can_send {
        return Ok(());
    }
    Err(match id.kind() {
        Kind::Direct => Problem::new(Code::Blocked, "one of the two blocks the other").into(),
        Kind::Channel if summary.members.is_some() => {
            ApiError::forbidden("only the owner and the admins may do this")
        }
        // They have left.
        Kind::Group | Kind::Channel => ApiError::no_conversation(),
    })
}
