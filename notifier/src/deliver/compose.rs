//! What a delivery says, made from the views when it is sent: what was deleted meanwhile is not
//! quoted, and nothing of a message is kept here.

use parley_domain::{
    Body, ConversationId, Timestamp,
    account::{self, Settings, settings::Choice},
};
use parley_projections::Failure;
use sqlx::{PgPool, Row, types::Json};

use super::queue::{Delivery, Sort};
use crate::{
    channels::{Address, Endpoint},
    links::Links,
    notice::{Close, Notice, Proof, Verify, What},
    policy::{
        Reason, Target,
        decide::{self, Against, Facts},
        timers::Trigger,
    },
    standing,
};

/// Senders that are named.
const MAX_SENDERS: i64 = 3;
/// Messages that are looked at for them.
const NEWEST: i64 = 200;
/// Characters that are quoted.
const PREVIEW_CHARACTERS: usize = 120;
/// How long the views may take to know a new endpoint.
const VIEWS_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Makes what is sent.
pub struct Composer {
    pool: PgPool,
    links: Links,
}

/// What can be sent now.
pub enum Composed {
    Ready(Endpoint, Box<What>),
    /// The views are behind.
    NotYet,
    /// They do not want to be told before.
    Later {
        until: Timestamp,
        reason: &'static str,
    },
    /// There is nothing to send, and why.
    Gone(&'static str),
}

impl Composer {
    pub fn new(pool: PgPool, links: Links) -> Self {
        Self { pool, links }
    }

    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn compose(&self, delivery: &Delivery, now: Timestamp) -> Result<Composed, Failure> {
        let Some((endpoint, is_verified)) = self.endpoint(delivery).await? else {
            let is_new = crate::policy::later(delivery.created_at, VIEWS_PATIENCE) > now;
            let may_come = is_new && delivery.what == Sort::Verify;
            return Ok(if may_come {
                Composed::NotYet
            } else {
                Composed::Gone("the endpoint was removed")
            });
        };
        let settings = self.settings(delivery).await?;
        let what = match delivery.what {
            Sort::Verify if is_verified => return Ok(Composed::Gone("the endpoint is verified")),
            Sort::Verify => self.verify(&endpoint, delivery, settings, now),
            Sort::Digest | Sort::Close if !is_verified => {
                return Ok(Composed::Gone("the endpoint is not verified"));
            }
            Sort::Close => What::Close(Close {
                notification_id: delivery.notification_id,
                user_id: delivery.user_id.clone(),
                conversation_id: conversation(delivery),
                at: delivery.created_at,
            }),
            Sort::Digest => match self.against(delivery, &settings, now).await? {
                Some(Against::Skip(reason)) => return Ok(Composed::Gone(reason.as_str())),
                Some(Against::Defer(until)) => {
                    return Ok(Composed::Later { until, reason: Reason::QuietHours.as_str() });
                }
                None => What::Digest(self.digest(delivery, settings, now).await?),
            },
        };
        Ok(Composed::Ready(endpoint, Box::new(what)))
    }

    /// What has come up since it was decided on, perhaps while its provider was down: they have
    /// read, or do not want to be told any more, or not now.
    async fn against(
        &self,
        delivery: &Delivery,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Option<Against>, Failure> {
        let user = delivery.user_id.as_str();
        let conversation = conversation(delivery);
        let mut connection = self.pool.acquire().await?;
        let standing = if conversation.is_some() {
            let pair = std::iter::once((user, delivery.conversation.as_str()));
            standing::of(&mut connection, pair, now).await?.into_values().next()
        } else {
            standing::over_all(&mut connection, &[user], now).await?.into_values().next()
        };
        let target =
            Target { channel: delivery.channel, endpoint_id: delivery.endpoint_id.clone() };
        let facts = Facts {
            trigger: Trigger::Open,
            thread_id: format!("{user} {}", delivery.conversation),
            conversation,
            standing: standing.unwrap_or_default(),
            online: false,
            settings: settings.clone(),
            endpoints: vec![target],
            full: Vec::new(),
        };
        Ok(decide::against(&facts, now))
    }

    /// The endpoint, unless it was removed or is known to be dead, and whether it is verified.
    async fn endpoint(&self, delivery: &Delivery) -> Result<Option<(Endpoint, bool)>, Failure> {
        let row = sqlx::query(
            "SELECT e.state = 'verified' AS is_verified, \
             jsonb_build_object('channel', e.channel, 'address', e.address) AS address \
             FROM notification_endpoints e WHERE e.user_id = $1 AND e.endpoint_id = $2 AND NOT EXISTS \
             (SELECT FROM dead_endpoints d WHERE d.user_id = e.user_id AND d.endpoint_id = e.endpoint_id)",
        )
        .bind(delivery.user_id.as_str())
        .bind(&delivery.endpoint_id)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let Json(address): Json<account::Address> = row.try_get("address")?;
        let endpoint = Endpoint {
            endpoint_id: delivery.endpoint_id.clone(),
            user_id: delivery.user_id.clone(),
            address: address.into(),
        };
        Ok(Some((endpoint, row.try_get("is_verified")?)))
    }

    async fn settings(&self, delivery: &Delivery) -> Result<Settings, Failure> {
        let settings: Option<Json<Settings>> =
            sqlx::query_scalar("SELECT settings FROM account_settings WHERE user_id = $1")
                .bind(delivery.user_id.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(settings.map(|Json(settings)| settings).unwrap_or_default())
    }

    fn verify(
        &self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        settings: Settings,
        now: Timestamp,
    ) -> What {
        let (user, id) = (&delivery.user_id, &delivery.endpoint_id);
        let proof = match &endpoint.address {
            Address::Phone(number) => Proof::Code(self.links.phone_code(user, id, number)),
            Address::Email(address) | Address::Webhook { url: address } => {
                Proof::Link(self.links.verify(user, id, address, now))
            }
            Address::WebPush { endpoint, .. } => {
                Proof::Link(self.links.verify(user, id, endpoint, now))
            }
        };
        What::Verify(Verify {
            notification_id: delivery.notification_id,
            user_id: user.clone(),
            proof,
            locale: settings.locale,
            at: delivery.created_at,
        })
    }

    async fn digest(
        &self,
        delivery: &Delivery,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Notice, Failure> {
        let conversation_id = conversation(delivery);
        let wishes = &settings.notifications;
        let of_conversation = |id| wishes.conversations.get(id).copied().unwrap_or_default();
        let Choice { preview, .. } =
            conversation_id.as_ref().map_or_else(Choice::default, of_conversation);
        let quotes = preview.unwrap_or(wishes.preview);
        let (senders, newest) = match &conversation_id {
            Some(id) => self.conversation(delivery, id).await?,
            None => (self.senders_anywhere(delivery).await?, None),
        };
        let title = match &conversation_id {
            Some(id) => self.title(id).await?,
            None => None,
        };
        let link = self.links.conversation(conversation_id.as_ref());
        let unsubscribe = self.links.unsubscribe(
            &delivery.user_id,
            delivery.channel,
            conversation_id.as_ref(),
            now,
        );
        Ok(Notice {
            notification_id: delivery.notification_id,
            user_id: delivery.user_id.clone(),
            conversation_id,
            messages: delivery.messages,
            title,
            senders,
            preview: newest.filter(|_| quotes).as_ref().and_then(preview_of),
            link,
            unsubscribe,
            locale: settings.locale,
            at: delivery.created_at,
        })
    }

    /// Who has written what waits, the last one first, and the newest message.
    async fn conversation(
        &self,
        delivery: &Delivery,
        id: &ConversationId,
    ) -> Result<(Vec<String>, Option<Body>), Failure> {
        let rows = sqlx::query(
            "SELECT m.sender_id, CASE WHEN m.expires_at <= now() THEN NULL ELSE m.body END AS body \
             FROM messages m WHERE m.conversation_id = $1 AND m.sender_id <> $2 \
             AND m.deleted_at IS NULL AND m.conversation_seq > coalesce((SELECT read_seq FROM members \
             WHERE conversation_id = $1 AND user_id = $2), 0) ORDER BY m.conversation_seq DESC LIMIT $3",
        )
        .bind(id.as_str())
        .bind(delivery.user_id.as_str())
        .bind(NEWEST)
        .fetch_all(&self.pool)
        .await?;
        let mut senders: Vec<String> = Vec::new();
        let mut newest = None;
        for (place, row) in rows.iter().enumerate() {
            if place == 0 {
                let body: Option<Json<Body>> = row.try_get("body")?;
                newest = body.map(|Json(body)| body);
            }
            let sender: String = row.try_get("sender_id")?;
            if !senders.contains(&sender) && senders.len() < MAX_SENDERS as usize {
                senders.push(sender);
            }
        }
        Ok((senders, newest))
    }

    async fn title(&self, id: &ConversationId) -> Result<Option<String>, Failure> {
        let title: Option<Option<String>> =
            sqlx::query_scalar("SELECT title FROM conversations WHERE conversation_id = $1")
                .bind(id.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(title.flatten())
    }

    /// Who has written last in those of their conversations where something waits.
    async fn senders_anywhere(&self, delivery: &Delivery) -> Result<Vec<String>, Failure> {
        let senders = sqlx::query_scalar(
            "SELECT s.sender_id FROM members m \
             JOIN conversations c ON c.conversation_id = m.conversation_id \
             JOIN messages s ON s.conversation_id = m.conversation_id AND s.conversation_seq = c.last_seq \
             WHERE m.user_id = $1 AND m.read_seq < c.last_seq AND s.sender_id <> $1 \
             AND m.left_position IS NULL AND c.kind <> 'channel' \
             GROUP BY s.sender_id ORDER BY max(s.created_at) DESC LIMIT $2",
        )
        .bind(delivery.user_id.as_str())
        .bind(MAX_SENDERS)
        .fetch_all(&self.pool)
        .await?;
        Ok(senders)
    }
}

fn conversation(delivery: &Delivery) -> Option<ConversationId> {
    ConversationId::parse(&delivery.conversation).ok()
}

/// The beginning of what was written, or the names of files; `None` where there is nothing to read.
fn preview_of(body: &Body) -> Option<String> {
    let names: String;
    let text = match body {
        Body::Text { text } | Body::System { text } | Body::Attachment { text: Some(text), .. } => {
            text
        }
        Body::Attachment { text: None, attachments } => {
            let files = attachments.iter().filter_map(|attachment| attachment.file.as_ref());
            names = files.map(|file| file.file_name.as_str()).collect::<Vec<_>>().join(", ");
            &names
        }
        Body::Listing(card) | Body::Order(card) | Body::Shipment(card) | Body::Return(card) => {
            &card.title
        }
        Body::Encrypted { .. } => return None,
    };
    let mut characters = text.chars();
    let mut preview: String = characters.by_ref().take(PREVIEW_CHARACTERS).collect();
    if characters.next().is_some() {
        preview.push('…');
    }
    Some(preview)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_shown_by_their_text_or_their_names() {
        let preview = |text: &str| {
            let json = format!(
                r#"{{"kind":"attachment",{text}"attachments":[
                {{"attachmentId":"0193e5a0-7b1c-7def-8123-456789abc001","fileName":"box.jpg",
                "contentType":"image/jpeg","sizeBytes":1}},
                {{"attachmentId":"0193e5a0-7b1c-7def-8123-456789abc002","fileName":"lid.jpg",
                "contentType":"image/jpeg","sizeBytes":1}}]}}"#
            );
            preview_of(&serde_json::from_str(&json).unwrap())
        };
        assert_eq!(preview(r#""text":"look","#).as_deref(), Some("look"));
        assert_eq!(preview("").as_deref(), Some("box.jpg, lid.jpg"));
    }
}
