//! `GET /v1/devices`: the caller's linked devices.

use axum::{Json, extract::State, routing::get};
use parley_domain::{DeviceId, Timestamp};
use parley_projections::queries;
use serde::Serialize;

use super::{Endpoint, extract::Caller};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("listDevices", "The devices of one's account")
        .answers(200, "Devices", "Those that are linked, the newest first.")
        .refuses(403, "forbidden")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/devices", get(devices), operation)
}

#[derive(Serialize)]
struct Devices {
    devices: Vec<Device>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    device_id: DeviceId,
    platform: String,
    registered_at: Timestamp,
    /// The one that asks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    current: bool,
}

async fn devices(
    State(state): State<AppState>,
    Caller(caller): Caller,
) -> Result<Json<Devices>, ApiError> {
    let user = &caller.user_id;
    // Who has just unlinked a device shall not see it here.
    state.realtime.accounts().settled(user).await?;
    let found = queries::devices(&state.pool, user).await?;
    let shown = found.devices.into_iter().map(|device| Device {
        current: caller.device_id.as_ref() == Some(&device.device_id),
        device_id: device.device_id,
        platform: device.platform,
        registered_at: device.registered_at,
    });
    Ok(Json(Devices { devices: shown.collect() }))
}
