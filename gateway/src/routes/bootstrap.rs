//! `POST /v1/sessions/bootstrap`: a session for a device, as a token and as a cookie.
//!
//! The device is linked to the account before there is a session, so that every session can be
//! ended by unlinking its device.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::post,
};
use parley_commands::AccountRequest;
use parley_domain::{
    Actor, DeviceId, Timestamp, UserId,
    account::{Action, Answer},
};
use serde::{Deserialize, Serialize};

use super::{
    Endpoint,
    extract::{Caller, JsonBody, TraceParent, device, public_url},
};
use crate::{
    auth::{Identity, cookie},
    config::PublicUrl,
    error::ApiError,
    openapi::Operation,
    state::AppState,
};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("bootstrapSession", "Start a session on a device")
        .body("Bootstrap")
        .answers(200, "Session", "The session; also set as the cookie parley_session.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(409, "too_many_devices")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new("POST", "/v1/sessions/bootstrap", post(bootstrap), operation)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bootstrap {
    device_id: String,
    /// What the device runs, for its owner's list of devices.
    platform: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    user_id: UserId,
    device_id: DeviceId,
    websocket_url: String,
    session_token: String,
    expires_at: Timestamp,
}

async fn bootstrap(
    State(state): State<AppState>,
    Caller(caller): Caller,
    TraceParent(traceparent): TraceParent,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Bootstrap>,
) -> Result<Response, ApiError> {
    let Some(device_id) = device(&caller, Some(&body.device_id))? else {
        return Err(ApiError::malformed("deviceId is missing"));
    };
    let url = public_url(&state, &headers)?;
    let registration = register(&state, &caller, &device_id, body.platform, traceparent).await?;
    let sessions = state.authenticator.sessions();
    let now = state.now();
    let session = sessions.mint(&caller, &device_id, registration, now).map_err(|error| {
        tracing::error!(%error, "no session");
        ApiError::internal()
    })?;
    let secure = state.public_url.as_ref().is_some_and(PublicUrl::is_secure);
    let left_ms = session.expires_at.unix_millis().saturating_sub(now.unix_millis());
    let max_age = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
    let cookie = cookie::set(&session.token, max_age, secure);
    let cookie = HeaderValue::try_from(cookie).map_err(|_| ApiError::internal())?;
    let answer = Session {
        user_id: caller.user_id,
        device_id,
        websocket_url: url.websocket_url(),
        session_token: session.token,
        expires_at: session.expires_at,
    };
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Json(answer)).into_response())
}

/// Links the device, if it is not; the version of the event that did. Durable when it returns.
async fn register(
    state: &AppState,
    caller: &Identity,
    device_id: &DeviceId,
    platform: String,
    traceparent: Option<String>,
) -> Result<u64, ApiError> {
    let actor = Actor { device_id: Some(device_id.clone()), ..caller.actor() };
    let action = Action::RegisterDevice {
        device_id: device_id.clone(),
        platform,
        renews: caller.registration,
    };
    let request = AccountRequest::new(actor, action, traceparent);
    match state.commands.execute(request).await? {
        Answer::Registered { version, registration } => {
            let devices = state.realtime.devices();
            devices.registered(&caller.user_id, device_id, registration);
            state.realtime.accounts().saw(&caller.user_id, version);
            Ok(registration)
        }
        Answer::Done { .. } | Answer::Endpoint { .. } | Answer::Read { .. } => {
            tracing::error!("a registration was answered as something else");
            Err(ApiError::internal())
        }
    }
}
