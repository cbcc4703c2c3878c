//! The HTTP interface: one endpoint one file, with its request and answer types, what the OpenAPI
//! document says of it, and its handler.
//!
//! # Recipe: add an endpoint
//! 1. Write `routes/<what it does>.rs` with `pub fn endpoint() -> Endpoint`.
//! 2. Put the shapes of its JSON into `openapi/schemas.json`.
//! 3. Add it to `endpoints` below. Router and OpenAPI document are both made from that list.
//! 4. Test it in `tests/http_*.rs` as a client sees it.

mod account;
mod add_reaction;
mod attachments;
mod block;
mod blocks;
mod bootstrap;
mod clear_timer;
mod clear_title;
mod connect;
mod conversation;
mod create_conversation;
mod cursors;
mod decisions;
mod delete_message;
mod dev_outbox;
mod dev_token;
mod devices;
mod edit_message;
pub mod extract;
mod health;
mod history;
mod inbox;
mod layers;
mod metrics;
mod open_direct;
mod openapi;
mod plain_page;
mod presence;
mod put_member;
mod ready;
mod receipts;
mod remove_member;
mod remove_reaction;
mod search;
mod send_message;
mod set_timer;
mod set_title;
mod stream;
mod sync;
mod unblock;
mod unlink_device;
mod unsubscribe;
mod verify_by_link;
mod verify_phone;

use axum::{
    Json, Router,
    extract::Request as HttpRequest,
    http::Method,
    middleware,
    response::{IntoResponse, Response},
    routing::MethodRouter,
};

use parley_commands::{Request, api::Done};
use parley_domain::Action;

use self::extract::Member;
use crate::{
    error::ApiError,
    openapi::{Operation, document},
    page,
    state::AppState,
};

/// A route: one method of one path.
pub struct Endpoint {
    pub method: &'static str,
    pub path: &'static str,
    pub operation: Operation,
    handler: MethodRouter<AppState>,
}

impl Endpoint {
    fn new(
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<AppState>,
        operation: Operation,
    ) -> Self {
        Self { method, path, operation, handler }
    }
}

/// Every route but the page's.
fn endpoints(state: &AppState) -> Vec<Endpoint> {
    let mut endpoints = vec![
        bootstrap::endpoint(),
        open_direct::endpoint(),
        create_conversation::endpoint(),
        inbox::endpoint(),
        conversation::endpoint(),
        send_message::endpoint(),
        edit_message::endpoint(),
        delete_message::endpoint(),
        add_reaction::endpoint(),
        remove_reaction::endpoint(),
        history::endpoint(),
        search::endpoint(),
        cursors::read(),
        cursors::delivery(),
        receipts::endpoint(),
        put_member::endpoint(),
        remove_member::endpoint(),
        set_title::endpoint(),
        clear_title::endpoint(),
        set_timer::endpoint(),
        clear_timer::endpoint(),
        block::endpoint(),
        unblock::endpoint(),
        blocks::endpoint(),
        presence::endpoint(),
        devices::endpoint(),
        unlink_device::endpoint(),
        decisions::endpoint(),
        sync::endpoint(),
        stream::endpoint(),
        connect::endpoint(),
        health::endpoint(),
        ready::endpoint(),
    ];
    if state.notify.links.is_some() {
        endpoints.push(unsubscribe::page_endpoint());
        endpoints.push(unsubscribe::endpoint());
        endpoints.push(verify_by_link::page_endpoint());
        endpoints.push(verify_by_link::endpoint());
        endpoints.push(verify_phone::endpoint());
    }
    if state.attachments.is_some() {
        endpoints.extend(attachments::endpoints());
    }
    endpoints.extend(account::contacts::endpoints());
    endpoints.extend(account::draft::endpoints());
    endpoints.extend(account::endpoints::endpoints());
    endpoints.extend(account::marks::endpoints());
    endpoints.extend(account::settings::endpoints());
    if state.serves_metrics {
        endpoints.push(metrics::endpoint());
    }
    if state.authenticator.dev().is_some() {
        endpoints.push(dev_token::endpoint());
        endpoints.push(dev_outbox::endpoint());
    }
    endpoints
}

/// Everything that a gateway answers.
pub fn router(state: AppState) -> Result<Router, serde_json::Error> {
    let mut endpoints = endpoints(&state);
    let operations = endpoints
        .iter()
        .map(|endpoint| (endpoint.method, endpoint.path, endpoint.operation.clone()))
        .chain([(openapi::METHOD, openapi::PATH, openapi::operation())]);
    let document = document(operations)?;
    endpoints.push(openapi::endpoint(&document)?);
    let mut router = Router::new();
    for endpoint in endpoints {
        router = router.route(endpoint.path, endpoint.handler);
    }
    let router = router
        .fallback(no_route)
        .method_not_allowed_fallback(async || ApiError::wrong_method())
        .layer(middleware::from_fn_with_state(state.clone(), layers::cross_origin))
        .layer(middleware::from_fn_with_state(state.clone(), layers::observe))
        .with_state(state);
    Ok(router)
}

/// Asks a conversation to do something of which only the version is told.
async fn execute(
    state: &AppState,
    member: Member,
    action: Action,
    traceparent: Option<String>,
) -> Result<Json<Done>, ApiError> {
    let Member { caller, conversation_id } = member;
    let request = Request { conversation_id, actor: caller.actor(), action, traceparent };
    let answer = state.commands.execute(request).await?;
    Done::from_answer(&answer).map(Json).ok_or_else(|| {
        tracing::error!("a command was answered with something else");
        ApiError::internal()
    })
}

/// Only `/metrics`, for a port of its own.
pub fn metrics_router(state: AppState) -> Router {
    let endpoint = metrics::endpoint();
    Router::new()
        .route(endpoint.path, endpoint.handler)
        .fallback(async || ApiError::no_route())
        .method_not_allowed_fallback(async || ApiError::wrong_method())
        .with_state(state)
}

/// The page's files; there is nothing else that has no route.
async fn no_route(request: HttpRequest) -> Response {
    let path = request.uri().path();
    let reads = *request.method() == Method::GET || *request.method() == Method::HEAD;
    match page::serve(path, request.headers()) {
        Some(file) if reads => file,
        Some(_) => ApiError::wrong_method().into_response(),
        None => ApiError::no_route().into_response(),
    }
}
