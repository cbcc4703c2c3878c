//! Files of messages: reserve one, upload it to a signed address, fetch it from another.

mod download;
mod fetch;
mod reserve;
pub mod upload;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use uuid::Uuid;

use super::{Endpoint, extract::Params};
use crate::{
    attachments::{Attachments, Method, Signed},
    error::ApiError,
    state::AppState,
};

/// Where a file itself is.
pub const CONTENT_PATH: &str = "/v1/attachments/{attachmentId}/content";

pub fn endpoints() -> Vec<Endpoint> {
    vec![reserve::endpoint(), fetch::endpoint(), upload::endpoint(), download::endpoint()]
}

/// Only a gateway that has a store has these routes.
fn attachments(state: &AppState) -> Result<&Attachments, ApiError> {
    state.attachments.as_deref().ok_or_else(ApiError::no_route)
}

/// The `{attachmentId}` of the path; what is not an id is none that there is.
struct NamedAttachment(Uuid);

impl FromRequestParts<AppState> for NamedAttachment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let parameters = RawPathParams::from_request_parts(parts, state).await;
        let parameters = parameters.map_err(|_| ApiError::no_attachment())?;
        let named = parameters.iter().find(|(name, _)| *name == "attachmentId");
        let id = named.and_then(|(_, id)| Uuid::try_parse(id).ok());
        id.map(Self).ok_or_else(ApiError::no_attachment)
    }
}

/// A file whose address was signed here for the request's method, and is not over.
struct SignedFor {
    id: Uuid,
    /// Stands for the person it was given to.
    by: String,
}

impl FromRequestParts<AppState> for SignedFor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let NamedAttachment(id) = NamedAttachment::from_request_parts(parts, state).await?;
        let signed = Params::<Signed>::from_request_parts(parts, state).await;
        let Params(signed) = signed.map_err(|_| bad_address())?;
        let is_upload = parts.method == axum::http::Method::PUT;
        let method = if is_upload { Method::Put } else { Method::Get };
        let addresses = &attachments(state)?.addresses;
        let is_good = addresses.is_good(method, id, &signed, state.now());
        is_good.then_some(Self { id, by: signed.by }).ok_or_else(bad_address)
    }
}

fn bad_address() -> ApiError {
    ApiError::forbidden("the address is not one that was given out for this, or its time is over")
}
