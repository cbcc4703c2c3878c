//! `POST /v1/notification-endpoints/{endpointId}/verify`: the code in the SMS that asks whether a number
//! is right.

use axum::{Json, extract::State, routing::post};
use parley_commands::{AccountRequest, Code, Problem, api::Done};
use parley_domain::account::{Action, Address};
use parley_projections::queries;
use serde::Deserialize;

use super::{
    Endpoint,
    extract::{Caller, JsonBody, NamedEndpoint, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("verifyPhone", "Confirm a phone by the code sent to it")
        .body("PhoneCode")
        .answers(200, "Done", "It is verified.")
        .refuses(400, "invalid_id")
        .refuses(404, "not_found")
        .refuses(422, "invalid_body")
        .refuses(429, "rate_limited")
        .refuses(503, "unavailable");
    Endpoint::new("POST", "/v1/notification-endpoints/{endpointId}/verify", post(verify), operation)
}

#[derive(Deserialize)]
struct PhoneCode {
    code: String,
}

async fn verify(
    State(state): State<AppState>,
    Caller(caller): Caller,
    NamedEndpoint(endpoint_id): NamedEndpoint,
    TraceParent(traceparent): TraceParent,
    JsonBody(PhoneCode { code }): JsonBody<PhoneCode>,
) -> Result<Json<Done>, ApiError> {
    let links = state.notify.links.as_ref().ok_or_else(ApiError::no_route)?;
    state.commands.rates().code(&caller.user_id).await?;
    state.realtime.accounts().settled(&caller.user_id).await?;
    let endpoints = queries::endpoints(&state.pool, &caller.user_id).await?;
    let endpoint = endpoints.into_iter().find(|endpoint| endpoint.endpoint_id == endpoint_id);
    let endpoint = endpoint
        .ok_or_else(|| Problem::new(Code::NotFound, "there is no such notification endpoint"))?;
    let number = match &endpoint.address {
        Address::Sms(number) => number,
        Address::Email(_) | Address::WebPush(_) | Address::Webhook(_) => {
            return Err(
                Problem::new(Code::InvalidBody, "only a phone is verified by a code").into()
            );
        }
    };
    if !links.is_in_time(endpoint.added_at, state.now()) {
        let detail = "the code is too old: remove the number and add it again";
        return Err(Problem::new(Code::InvalidBody, detail).into());
    }
    let id = endpoint_id.to_string();
    if !links.is_phone_code(&caller.user_id, &id, number, &code) {
        return Err(Problem::new(Code::InvalidBody, "that is not the code").into());
    }
    let action = Action::VerifyEndpoint { endpoint_id };
    let request = AccountRequest::new(caller.actor(), action, traceparent);
    Ok(Json(state.commands.execute(request).await?.into()))
}
