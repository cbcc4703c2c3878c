//! `GET`, `POST /v1/notification-endpoints` and `DELETE /v1/notification-endpoints/{endpointId}`:
//! where the caller is told when away.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    routing::{delete, get, post},
};
use parley_commands::api::{AddEndpoint, Done, EndpointAnswer};
use parley_domain::account::{Action, ChannelKind};
use parley_projections::{queries, views};
use serde::Serialize;

use super::execute;
use crate::{
    error::ApiError,
    openapi::Operation,
    routes::{
        Endpoint,
        extract::{Caller, JsonBody, NamedEndpoint, TraceParent},
    },
    state::AppState,
};

const ALL: &str = "/v1/notification-endpoints";
const ONE: &str = "/v1/notification-endpoints/{endpointId}";

pub fn endpoints() -> [Endpoint; 3] {
    let open = |id, summary| {
        Operation::new(id, summary).refuses(403, "forbidden").refuses(503, "unavailable")
    };
    let list = open("listNotificationEndpoints", "Where one is told when away").answers(
        200,
        "NotificationEndpoints",
        "In the order in which they were added.",
    );
    let add = open("addNotificationEndpoint", "Be told there when away")
        .body("AddEndpoint")
        .answers(201, "NewEndpoint", "It is there, now or before; pending until it is verified.")
        .refuses(409, "limit_reached")
        .refuses(422, "invalid_body");
    let remove = open("removeNotificationEndpoint", "Be told there no more")
        .answers(200, "Done", "It is gone.")
        .refuses(400, "invalid_id")
        .refuses(404, "not_found");
    [
        Endpoint::new("GET", ALL, get(all), list),
        Endpoint::new("POST", ALL, post(add_endpoint), add),
        Endpoint::new("DELETE", ONE, delete(remove_endpoint), remove),
    ]
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationEndpoints {
    endpoints: Vec<views::Endpoint>,
    /// What the page needs to subscribe to web push, where that is possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    vapid_public_key: Option<String>,
}

async fn all(
    State(state): State<AppState>,
    Caller(caller): Caller,
) -> Result<Json<NotificationEndpoints>, ApiError> {
    state.realtime.accounts().settled(&caller.user_id).await?;
    let endpoints = queries::endpoints(&state.pool, &caller.user_id).await?;
    let vapid_public_key = state.vapid_public_key.clone();
    Ok(Json(NotificationEndpoints { endpoints, vapid_public_key }))
}

async fn add_endpoint(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: TraceParent,
    JsonBody(body): JsonBody<AddEndpoint>,
) -> Result<(StatusCode, Json<EndpointAnswer>), ApiError> {
    let address = body.into_address()?;
    // A subscription comes from the browser that will show what is sent; and where nothing is
    // really sent, nothing can be verified.
    let is_own = address.channel() == ChannelKind::WebPush;
    let verified = is_own || state.authenticator.dev().is_some();
    let answer = execute(&state, &caller, trace, Action::AddEndpoint { address, verified }).await?;
    let Some(endpoint) = EndpointAnswer::from_answer(&answer) else {
        tracing::error!("an endpoint was answered as something else");
        return Err(ApiError::internal());
    };
    Ok((StatusCode::CREATED, Json(endpoint)))
}

async fn remove_endpoint(
    State(state): State<AppState>,
    Caller(caller): Caller,
    NamedEndpoint(endpoint_id): NamedEndpoint,
    trace: TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::RemoveEndpoint { endpoint_id };
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}
