//! `GET /v1/contacts` and `GET`, `PUT`, `DELETE /v1/contacts/{userId}`.

use axum::{
    Json,
    extract::State,
    routing::{delete, get, put},
};
use parley_commands::{Code, Problem, api::Done};
use parley_domain::account::Action;
use parley_projections::{queries, views::Contact};
use serde::Serialize;

use super::execute;
use crate::{
    error::ApiError,
    openapi::Operation,
    routes::{
        Endpoint,
        extract::{Caller, NamedUser, TraceParent},
    },
    state::AppState,
};

const ALL: &str = "/v1/contacts";
const ONE: &str = "/v1/contacts/{userId}";

pub fn endpoints() -> [Endpoint; 4] {
    let open = |id, summary| {
        Operation::new(id, summary).refuses(403, "forbidden").refuses(503, "unavailable")
    };
    let list =
        open("listContacts", "One's contacts").answers(200, "Contacts", "All of them, by userId.");
    let read = open("getContact", "One of one's contacts")
        .answers(200, "Contact", "They are a contact.")
        .refuses(400, "invalid_id")
        .refuses(404, "not_found");
    let add = open("addContact", "Make somebody a contact")
        .answers(200, "Done", "They are one, now or before.")
        .refuses(400, "invalid_id")
        .refuses(409, "limit_reached");
    let remove = open("removeContact", "Take somebody from one's contacts")
        .answers(200, "Done", "They are none, now or before.")
        .refuses(400, "invalid_id");
    [
        Endpoint::new("GET", ALL, get(contacts), list),
        Endpoint::new("GET", ONE, get(contact), read),
        Endpoint::new("PUT", ONE, put(add_contact), add),
        Endpoint::new("DELETE", ONE, delete(remove_contact), remove),
    ]
}

#[derive(Serialize)]
struct Contacts {
    contacts: Vec<Contact>,
}

async fn contacts(
    State(state): State<AppState>,
    Caller(caller): Caller,
) -> Result<Json<Contacts>, ApiError> {
    state.realtime.accounts().settled(&caller.user_id).await?;
    let contacts = queries::contacts(&state.pool, &caller.user_id).await?;
    Ok(Json(Contacts { contacts }))
}

async fn contact(
    State(state): State<AppState>,
    Caller(caller): Caller,
    NamedUser(user_id): NamedUser,
) -> Result<Json<Contact>, ApiError> {
    state.realtime.accounts().settled(&caller.user_id).await?;
    let found = queries::contact(&state.pool, &caller.user_id, &user_id).await?;
    found
        .map(Json)
        .ok_or_else(|| Problem::new(Code::NotFound, "they are not one of the contacts").into())
}

async fn add_contact(
    State(state): State<AppState>,
    Caller(caller): Caller,
    NamedUser(user_id): NamedUser,
    trace: TraceParent,
) -> Result<Json<Done>, ApiError> {
    let answer = execute(&state, &caller, trace, Action::AddContact { user_id }).await?;
    Ok(Json(answer.into()))
}

async fn remove_contact(
    State(state): State<AppState>,
    Caller(caller): Caller,
    NamedUser(user_id): NamedUser,
    trace: TraceParent,
) -> Result<Json<Done>, ApiError> {
    let answer = execute(&state, &caller, trace, Action::RemoveContact { user_id }).await?;
    Ok(Json(answer.into()))
}
