//! `GET /openapi.json`: the description of the interface for machines.

use axum::{http::header, routing::get};
use bytes::Bytes;
use serde_json::{Value, json};

use super::Endpoint;
use crate::openapi::Operation;

pub const METHOD: &str = "GET";
pub const PATH: &str = "/openapi.json";

pub fn operation() -> Operation {
    let schema = json!({"type": "object"});
    Operation::open("openapi", "This document").answers_with(
        200,
        "application/json",
        &schema,
        "OpenAPI 3.1.",
    )
}

/// Serves this document, which is made from all other endpoints.
pub fn endpoint(document: &Value) -> Result<Endpoint, serde_json::Error> {
    let json = Bytes::from(serde_json::to_vec(document)?);
    let handler = get(async move || ([(header::CONTENT_TYPE, "application/json")], json.clone()));
    Ok(Endpoint::new(METHOD, PATH, handler, operation()))
}
