//! `GET /healthz`: the process answers. For restarting it; see `/readyz` for sending it traffic.

use axum::{Json, routing::get};
use serde_json::{Value, json};

use super::Endpoint;
use crate::openapi::Operation;

pub fn endpoint() -> Endpoint {
    let operation =
        Operation::open("health", "The process answers").answers(200, "Health", "It does.");
    Endpoint::new("GET", "/healthz", get(health), operation)
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}
