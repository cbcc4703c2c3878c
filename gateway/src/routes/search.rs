//! `GET /v1/search`: messages that the caller may see, by what they say.

use axum::{Json, extract::State, routing::get};
use parley_domain::{ConversationId, Kind, Timestamp, UserId};
use parley_projections::queries::{
    Hit, MAX_SEARCH_CHARACTERS, MAX_SEARCH_HITS, SearchCursor, SearchFor, Words,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Endpoint,
    extract::{Caller, Params, page_size},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

const DEFAULT_HITS: u32 = 20;

pub fn endpoint() -> Endpoint {
    let text = json!({"type": "string"});
    let q = json!({"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_CHARACTERS});
    let conversation = json!({"$ref": "#/components/schemas/ConversationId"});
    let user = json!({"$ref": "#/components/schemas/UserId"});
    let moment = json!({"type": "string", "examples": ["2026-11-21T09:45:00.123Z", "2026-11-21"]});
    let limit = json!({"type": "integer", "minimum": 1, "default": DEFAULT_HITS});
    let most = format!("More than {MAX_SEARCH_HITS} is taken as that.");
    let operation = Operation::new("searchMessages", "Messages by what they say")
        .required_query("q", &q, "Words or parts of them; all are to be in the message.")
        .query("conversationId", &conversation, "Only in this one.")
        .query("from", &user, "Only what this person sent.")
        .query("before", &moment, "Only what was sent before this; of a date, before its first moment.")
        .query("after", &moment, "Only what was sent after this; of a date, after its first moment.")
        .query("limit", &limit, &most)
        .query("cursor", &text, "nextCursor of the page before; with the same q and filters.")
        .answers(
            200,
            "SearchPage",
            "Conversations with the newest messages first, in each the newest message first. A page \
             may have no hits and a nextCursor: then not everything was looked at yet.",
        )
        .refuses(400, "invalid_body")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(429, "rate_limited")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/search", get(search), operation)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    q: Option<String>,
    conversation_id: Option<String>,
    from: Option<String>,
    before: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    hits: Vec<Hit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

async fn search(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Params(query): Params<Query>,
) -> Result<Json<Found>, ApiError> {
    let words = Words::parse(query.q.as_deref().unwrap_or_default());
    let words = words.map_err(|error| ApiError::malformed(error.to_string()))?;
    let wanted = SearchFor {
        words,
        conversation_id: query.conversation_id.as_deref().map(ConversationId::parse).transpose()?,
        sender_id: query.from.as_deref().map(UserId::parse).transpose()?,
        before: moment("before", query.before.as_deref())?,
        after: moment("after", query.after.as_deref())?,
    };
    let limit = page_size(query.limit, DEFAULT_HITS, MAX_SEARCH_HITS)?;
    let cursor = query.cursor.as_deref().map(SearchCursor::parse).transpose();
    let cursor = cursor.map_err(|error| ApiError::malformed(error.to_string()))?;
    let is_others =
        |id: &ConversationId| id.kind() == Kind::Direct && !id.is_direct_member(&caller.user_id);
    if wanted.conversation_id.as_ref().is_some_and(is_others) {
        return Err(ApiError::no_conversation());
    }
    state.commands.rates().search(&caller.actor()).await?;
    let page = state.searches.page(&caller.user_id, &wanted, cursor, limit).await?;
    let page = page.ok_or_else(ApiError::no_conversation)?;
    state.metrics.searched(page.messages);
    let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
    Ok(Json(Found { hits: page.hits, next_cursor }))
}

/// A time, or a date: its first moment in UTC.
fn moment(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let moment = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
    let wrong = || ApiError::malformed(format!("{name} is a time of RFC 3339, or a date"));
    moment.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_date() {
        let at = |text| moment("before", Some(text)).map(|at| at.unwrap().to_string());
        assert_eq!(at("2026-11-21T10:45:00.123+01:00").unwrap(), "2026-11-21T09:45:00.123Z");
        assert_eq!(at("2026-11-21").unwrap(), "2026-11-21T00:00:00.000Z");
        assert_eq!(moment("before", None), Ok(None));
        for bad in ["", "2026-11", "2026-13-01", "yesterday", "2026-11-21T", "1795254300"] {
            assert_eq!(moment("before", Some(bad)).unwrap_err().0.status, 400, "{bad}");
        }
    }
}
