//! `DELETE /v1/devices/{deviceId}`: cuts a device off, and ends its sessions everywhere.

use axum::{Json, extract::State, routing::delete};
use parley_commands::{AccountRequest, api::Done};
use parley_domain::account::Action;

use super::{
    Endpoint,
    extract::{Caller, NamedDevice, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("unlinkDevice", "Unlink a device of one's account")
        .answers(200, "Done", "It is unlinked, now or before; bootstrap may link it again.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(503, "unavailable");
    Endpoint::new("DELETE", "/v1/devices/{deviceId}", delete(unlink), operation)
}

async fn unlink(
    State(state): State<AppState>,
    Caller(caller): Caller,
    NamedDevice(device_id): NamedDevice,
    TraceParent(traceparent): TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::UnlinkDevice { device_id: device_id.clone() };
    let request = AccountRequest::new(caller.actor(), action, traceparent);
    let answer = state.commands.execute(request).await?;
    // Here at once; the other gateways learn it from the log.
    state.realtime.devices().unlinked(&caller.user_id, &device_id, answer.version());
    state.realtime.accounts().saw(&caller.user_id, answer.version());
    Ok(Json(answer.into()))
}
