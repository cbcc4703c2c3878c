//! What handlers take from a request; every "no" is a problem.

use std::{convert::Infallible, net::IpAddr, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request as HttpRequest},
    http::{HeaderMap, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use parley_commands::{Request, api};
use parley_domain::{Action, ConversationId, DeviceId, Emoji, Kind, UserId};
use parley_projections::queries;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    auth::{Identity, request},
    config::PublicUrl,
    error::ApiError,
    server::Peer,
    state::AppState,
};

/// How much of a body that is too large is read and thrown away, so that a client that is still
/// sending gets to see the answer.
const DISCARD_BYTES: usize = 1_024 * 1_024;

/// The signed-in caller.
pub struct Caller(pub Identity);

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let rates = state.commands.rates();
        let address = address(parts, state.limits.trusted_proxies);
        let (authenticator, origins) = (&state.authenticator, &state.origins);
        let devices = state.realtime.devices();
        let caller =
            request::caller(authenticator, origins, devices, &parts.method, &parts.headers);
        match (caller.await, address) {
            (Ok(identity), _) => Ok(Self(identity)),
            (Err(error), Some(address)) if error.is_of_a_stranger() => {
                rates.stranger(address).await?;
                Err(error.into())
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}

/// Where a request comes from: the other end of its connection, or what the last of so many trusted
/// proxies says of it.
fn address(parts: &Parts, trusted_proxies: usize) -> Option<IpAddr> {
    let Peer(peer) = parts.extensions.get::<Peer>()?;
    if trusted_proxies == 0 {
        return Some(*peer);
    }
    let named = parts.headers.get_all("x-forwarded-for").iter();
    let named: Vec<&str> =
        named.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    let place = named.len().checked_sub(trusted_proxies);
    let forwarded = place.and_then(|place| named.get(place)?.trim().parse().ok());
    Some(forwarded.unwrap_or(*peer))
}

/// A caller and the conversation that is the `{id}` of the path.
///
/// A direct conversation's id says whose it is. Who is in a group or channel, its own log and views
/// say, to whoever asks them: for everybody else they know of no such conversation.
pub struct Member {
    pub caller: Identity,
    pub conversation_id: ConversationId,
}

impl FromRequestParts<AppState> for Member {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Caller(caller) = Caller::from_request_parts(parts, state).await?;
        let conversation_id =
            ConversationId::parse(&path_parameter(parts, state, "id").await.unwrap_or_default())?;
        match conversation_id.kind() {
            Kind::Direct if !conversation_id.is_direct_member(&caller.user_id) => {
                Err(ApiError::no_conversation())
            }
            Kind::Direct | Kind::Group | Kind::Channel => Ok(Self { caller, conversation_id }),
        }
    }
}

/// A caller and the conversation of the path, which they are or were a member of: what is noted of it
/// in their own account is not decided by the conversation.
pub struct Participant {
    pub caller: Identity,
    pub conversation_id: ConversationId,
}

impl FromRequestParts<AppState> for Participant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Member { caller, conversation_id } = Member::from_request_parts(parts, state).await?;
        let is_known = match conversation_id.kind() {
            Kind::Direct => true,
            Kind::Group | Kind::Channel => {
                queries::is_participant(&state.pool, &conversation_id, &caller.user_id)
                    .await
                    .unwrap_or(false)
            }
        };
        if !is_known {
            // The views may be behind, or away. This changes nothing, and strangers are refused.
            let request = Request {
                conversation_id: conversation_id.clone(),
                actor: caller.actor(),
                action: Action::MarkDelivered { through_seq: 0 },
                traceparent: None,
            };
            state.commands.execute(request).await?;
        }
        Ok(Self { caller, conversation_id })
    }
}

/// The `{seq}` of the path.
pub struct Seq(pub u64);

impl FromRequestParts<AppState> for Seq {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = path_parameter(parts, state, "seq").await.unwrap_or_default();
        let seq = text.parse().ok().filter(|seq| *seq > 0);
        seq.map(Self).ok_or_else(|| {
            parley_commands::Problem::new(
                parley_commands::Code::InvalidId,
                "a conversationSeq is a whole number from 1",
            )
            .into()
        })
    }
}

/// The `{deviceId}` of the path.
pub struct NamedDevice(pub DeviceId);

impl FromRequestParts<AppState> for NamedDevice {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = path_parameter(parts, state, "deviceId").await.unwrap_or_default();
        Ok(Self(DeviceId::parse(&text)?))
    }
}

/// The `{userId}` of the path.
pub struct NamedUser(pub UserId);

impl FromRequestParts<AppState> for NamedUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = path_parameter(parts, state, "userId").await.unwrap_or_default();
        Ok(Self(UserId::parse(&text)?))
    }
}

/// The `{endpointId}` of the path.
pub struct NamedEndpoint(pub Uuid);

impl FromRequestParts<AppState> for NamedEndpoint {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = path_parameter(parts, state, "endpointId").await.unwrap_or_default();
        let named = api::NamedEndpoint { endpoint_id: text.into() };
        Ok(Self(named.parse()?))
    }
}

/// The `{emoji}` of the path.
pub struct NamedEmoji(pub Emoji);

impl FromRequestParts<AppState> for NamedEmoji {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = path_parameter(parts, state, "emoji").await.unwrap_or_default();
        let emoji = Emoji::parse(&text).map_err(parley_commands::Problem::from)?;
        Ok(Self(emoji))
    }
}

/// A path parameter, `None` if it is not there or not UTF-8.
async fn path_parameter(parts: &mut Parts, state: &AppState, name: &str) -> Option<String> {
    let parameters = RawPathParams::from_request_parts(parts, state).await.ok()?;
    parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// The caller's W3C Trace Context, which the event will carry; whatever is not one is ignored.
pub struct TraceParent(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for TraceParent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = parts.headers.get("traceparent").and_then(|value| value.to_str().ok());
        Ok(Self(value.filter(|value| is_traceparent(value)).map(str::to_owned)))
    }
}

/// `version-traceid-parentid-flags`, in lower case hexadecimal.
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts.into_iter().all(is_hex)
}

/// The query string; unknown parameters are ignored.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Query(parameters) = Query::from_request_parts(parts, state).await?;
        Ok(Self(parameters))
    }
}

/// A body of JSON, bounded.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: HttpRequest, state: &AppState) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = read(request.into_body(), state.limits.body_bytes).await?;
        if !is_json {
            return Err(ApiError::not_json());
        }
        let Json(value) = Json::from_bytes(&bytes)?;
        Ok(Self(value))
    }
}

/// Whether a browser asks for a page.
pub fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// As [`JsonBody`]; no body at all says nothing.
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<AppState> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: HttpRequest, state: &AppState) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = read(request.into_body(), state.limits.body_bytes).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            return Err(ApiError::not_json());
        }
        let Json(value) = Json::from_bytes(&bytes)?;
        Ok(Self(value))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

async fn read(mut body: Body, max_bytes: usize) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::unreadable_body())?;
        let Some(data) = frame.data_ref() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= max_bytes {
            bytes.extend_from_slice(data);
        } else if seen > max_bytes.saturating_add(DISCARD_BYTES) {
            break;
        }
    }
    if seen > max_bytes { Err(ApiError::body_too_large(max_bytes)) } else { Ok(bytes.freeze()) }
}

/// Reads what somebody is still sending, as far as that is worth while, and throws it away: else they
/// would not get to see the answer. Says whether that was all of it.
pub async fn discard(mut body: Body, patience: Duration) -> bool {
    let reading = async {
        let mut seen = 0_usize;
        while seen <= DISCARD_BYTES {
            match body.frame().await {
                Some(Ok(frame)) => seen += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) => return false,
                None => return true,
            }
        }
        false
    };
    tokio::time::timeout(patience, reading).await.unwrap_or(false)
}

/// How the caller reaches this gateway: as configured, or as it just did.
pub fn public_url(state: &AppState, headers: &HeaderMap) -> Result<PublicUrl, ApiError> {
    if let Some(url) = &state.public_url {
        return Ok(url.clone());
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    host.and_then(PublicUrl::of_host)
        .ok_or_else(|| ApiError::malformed("the Host header is not a host"))
}

/// The device that a body or a session names. A session is bound to its device, so it cannot speak
/// for another one.
pub fn device(caller: &Identity, named: Option<&str>) -> Result<Option<DeviceId>, ApiError> {
    let named = named.map(DeviceId::parse).transpose()?;
    match (&caller.device_id, named) {
        (Some(own), Some(named)) if *own != named => {
            Err(ApiError::forbidden("the session is of another device"))
        }
        (Some(own), _) => Ok(Some(own.clone())),
        (None, named) => Ok(named),
    }
}

/// A page size as asked for: `default` if it was not, `max` if it is more.
pub fn page_size(asked: Option<u32>, default: u32, max: u32) -> Result<u32, ApiError> {
    match asked {
        Some(0) => Err(ApiError::malformed("limit is at least 1")),
        Some(limit) => Ok(limit.min(max)),
        None => Ok(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_passed_on_only_in_its_form() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for bad in [
            "",
            "00",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-011",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }

    #[test]
    fn a_page_is_no_larger_than_allowed() {
        assert_eq!(page_size(None, 50, 200), Ok(50));
        assert_eq!(page_size(Some(1), 50, 200), Ok(1));
        assert_eq!(page_size(Some(1_000), 50, 200), Ok(200));
        assert!(page_size(Some(0), 50, 200).is_err());
    }
}
