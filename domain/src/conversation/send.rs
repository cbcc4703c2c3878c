//! Send a message.

use super::{Command, Conversation, Refusal, Scope};
use crate::{
    body::{Attachment, Body},
    event::{EventData, MessageSent},
    ids::{ClientMessageId, Kind},
};

impl Conversation {
    /// `None` for a retry: the same clientMessageId with the same body is the same message.
    pub(super) fn send(
        &self,
        command: &Command,
        client_message_id: &ClientMessageId,
        body: &Body,
        reply_to: Option<u64>,
    ) -> Result<Option<EventData>, Refusal> {
        if let Some(sent) = self.recent.get(&command.actor.user_id, client_message_id) {
            // Of a deleted message nobody knows what it said.
            let Some(content) = &sent.content else { return Ok(None) };
            // Whether it was masked depends on when it came, not on when it is asked for again.
            let masked = command.masking.of(body).map(|masked| masked.fingerprint());
            return if content.sent == body.fingerprint() || Some(content.sent) == masked {
                Ok(None)
            } else {
                Err(Refusal::ClientMessageIdReused(client_message_id.clone()))
            };
        }
        if body.is_for_services() && command.actor.scope != Scope::Service {
            return Err(Refusal::ServicesOnly);
        }
        self.may_send(command, body)?;
        if reply_to.is_some_and(|seq| seq == 0 || seq > self.last_seq) {
            return Err(Refusal::ReplyBeyondLast { last_seq: self.last_seq });
        }
        let body = self.masked(command, body).unwrap_or_else(|| body.clone());
        // Last: they are looked up only for a message that would be sent.
        let attachments = found(command, body.attachments())?;
        Ok(Some(EventData::MessageSent(MessageSent {
            conversation_seq: self.last_seq.saturating_add(1),
            message_id: command.event_id,
            client_message_id: client_message_id.clone(),
            body: body.with_attachments(attachments),
            reply_to,
            expires_at: self.expiry(command.time),
            by_service: command.actor.scope == Scope::Service,
        })))
    }

    /// What the marketplace itself has to say gets through always.
    fn may_send(&self, command: &Command, body: &Body) -> Result<(), Refusal> {
        if command.actor.scope == Scope::Service && body.is_of_the_marketplace() {
            return Ok(());
        }
        match command.conversation_id.kind() {
            Kind::Direct if !self.blocked_by.is_empty() => Err(Refusal::Blocked),
            Kind::Channel => self.leading(command).map(|_| ()),
            Kind::Direct | Kind::Group => Ok(()),
        }
    }
}

/// What was looked up of these files: all of it, in their order.
fn found(command: &Command, named: &[Attachment]) -> Result<Vec<Attachment>, Refusal> {
    let of = |named: &Attachment| {
        let id = named.attachment_id;
        let found = command.attachments.iter().find(|found| found.attachment_id == id);
        found.filter(|found| found.file.is_some()).cloned().ok_or(Refusal::NoAttachment(id))
    };
    named.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer, Cursor,
        tests::{
            CHANNEL, GROUP, command, create, given, group, inside, kept, send, send_files, user,
        },
    };
    use super::*;
    use crate::masking::Masking;

    #[test]
    fn messages_are_numbered_from_1_and_move_the_senders_cursors() {
        let state = given(&[send("alice", "c-1", "hi"), send("bob", "c-1", "hello")]);
        assert_eq!((state.version, state.last_seq), (2, 2));
        assert_eq!(state.cursor(&user("alice")), Cursor { read: 1, delivered: 1 });
        assert_eq!(state.cursor(&user("bob")), Cursor { read: 2, delivered: 2 });
    }

    #[test]
    fn a_retry_is_the_same_message_and_answers_its_first_numbers() {
        let first = send("alice", "c-1", "hi");
        let state = given(&[first.clone(), send("bob", "b-1", "hello")]);
        assert_eq!(state.decide(&first), Ok(None));
        let answer = state.answer(&first, false);
        assert!(matches!(
            answer,
            Some(Answer::Sent { conversation_seq: 1, version: 1, duplicate: true, .. })
        ));
    }

    #[test]
    fn another_body_under_the_same_client_message_id_is_refused() {
        let state = given(&[send("alice", "c-1", "hi")]);
        assert!(matches!(
            state.decide(&send("alice", "c-1", "ho")),
            Err(Refusal::ClientMessageIdReused(_))
        ));
        // The id belongs to its sender: bob's c-1 is another message.
        assert!(matches!(state.decide(&send("bob", "c-1", "ho")), Ok(Some(_))));
    }

    #[test]
    fn only_services_write_system_messages() {
        let mut system = command(
            "alice",
            Action::SendMessage {
                client_message_id: ClientMessageId::parse("s-1").unwrap(),
                body: Body::System { text: "order shipped".to_owned() },
                reply_to: None,
            },
        );
        assert_eq!(Conversation::default().decide(&system), Err(Refusal::ServicesOnly));
        system.actor.scope = Scope::Service;
        assert!(matches!(Conversation::default().decide(&system), Ok(Some(_))));
    }

    const ALL: Masking = Masking { emails: true, phones: true, links: true };

    fn masking(text: &str, id: &str) -> Command {
        Command { masking: ALL, ..send("alice", id, text) }
    }

    fn order(id: &str, scope: Scope) -> Command {
        let body = r#"{"kind":"order","refId":"O-1","title":"Bicycle"}"#;
        let mut order = command(
            "bob",
            Action::SendMessage {
                client_message_id: ClientMessageId::parse(id).unwrap(),
                body: serde_json::from_str(body).unwrap(),
                reply_to: None,
            },
        );
        order.actor.scope = scope;
        order
    }

    fn said(state: &Conversation, command: &Command) -> Option<Body> {
        let event = state.decide(command).unwrap()?;
        let EventData::MessageSent(sent) = event.data else { panic!("{event:?}") };
        Some(sent.body)
    }

    fn text(text: &str) -> Option<Body> {
        Some(Body::Text { text: text.to_owned() })
    }

    #[test]
    fn contact_details_are_masked_until_the_marketplace_says_that_there_is_an_order() {
        let asked = masking("mail a@b.example", "c-1");
        assert_eq!(said(&Conversation::default(), &asked), text("mail •••"));
        // Anybody can send a card that looks like an order.
        let pretended = given(&[order("o-1", Scope::User)]);
        assert_eq!(said(&pretended, &asked), text("mail •••"));
        let ordered = given(&[order("o-1", Scope::Service)]);
        assert!(ordered.has_order);
        assert_eq!(said(&ordered, &asked), text("mail a@b.example"));
        // It stays so, also in what is left of the log once the order was erased from it.
        let mut deletion = super::super::tests::delete("bob", 1);
        deletion.actor.scope = Scope::Service;
        let event = ordered.decide(&deletion).unwrap().unwrap();
        let mut erased = Conversation::default();
        erased.evolve(&event);
        assert!(erased.has_order);
    }

    #[test]
    fn masked_is_what_a_person_writes_to_one_other() {
        let mut by_service = masking("mail a@b.example", "c-1");
        by_service.actor.scope = Scope::Service;
        assert_eq!(said(&Conversation::default(), &by_service), text("mail a@b.example"));
        let mut to_many = inside(GROUP, send("mia", "c-1", "mail a@b.example"));
        to_many.masking = ALL;
        assert_eq!(said(&group(), &to_many), text("mail a@b.example"));
    }

    #[test]
    fn a_retry_is_recognised_whether_or_not_it_was_masked() {
        let first = masking("mail a@b.example", "c-1");
        let before = given(std::slice::from_ref(&first));
        assert_eq!(before.decide(&first), Ok(None));
        let after = given(&[first.clone(), order("o-1", Scope::Service)]);
        assert_eq!(after.decide(&first), Ok(None));
        let unmasked = given(&[order("o-1", Scope::Service), first.clone()]);
        assert_eq!(unmasked.decide(&first), Ok(None));
        assert!(matches!(
            after.decide(&masking("mail c@b.example, please", "c-1")),
            Err(Refusal::ClientMessageIdReused(_))
        ));
    }

    #[test]
    fn a_reply_names_a_message_that_exists() {
        let state = given(&[send("alice", "c-1", "hi")]);
        let reply = |seq| {
            let mut reply = send("bob", "c-2", "yes");
            if let Action::SendMessage { reply_to, .. } = &mut reply.action {
                *reply_to = Some(seq);
            }
            state.decide(&reply)
        };
        assert!(reply(1).is_ok());
        assert_eq!(reply(0), Err(Refusal::ReplyBeyondLast { last_seq: 1 }));
        assert_eq!(reply(2), Err(Refusal::ReplyBeyondLast { last_seq: 1 }));
    }

    #[test]
    fn every_member_writes_in_a_group_and_in_a_channel_who_leads() {
        for writer in ["olga", "adam", "mia"] {
            assert!(matches!(group().decide(&inside(GROUP, send(writer, "1", "hi"))), Ok(Some(_))));
        }
        assert_eq!(group().decide(&inside(GROUP, send("eve", "1", "hi"))), Err(Refusal::NotFound));
        let channel = given(&[create(CHANNEL, "olga", &["mia"])]);
        assert!(matches!(channel.decide(&inside(CHANNEL, send("olga", "1", "news"))), Ok(Some(_))));
        assert!(matches!(
            channel.decide(&inside(CHANNEL, send("mia", "1", "spam"))),
            Err(Refusal::Forbidden(_))
        ));
    }

    #[test]
    fn the_event_says_what_is_known_of_the_files() {
        let first = send_files("alice", "c-1", Some("look"), &[2, 1]);
        let body =
            Body::Attachment { text: Some("look".to_owned()), attachments: vec![kept(2), kept(1)] };
        assert_eq!(said(&Conversation::default(), &first), Some(body));
        // A retry is one without anything looked up, and whatever has become of the files.
        let retried = Command { attachments: Vec::new(), ..first.clone() };
        let state = given(&[first]);
        assert_eq!(state.decide(&retried), Ok(None));
        assert!(state.wants_attachments(&retried).is_empty());
        let other = send_files("alice", "c-1", Some("look"), &[1, 2]);
        assert!(matches!(state.decide(&other), Err(Refusal::ClientMessageIdReused(_))));
    }

    #[test]
    fn files_are_looked_up_only_for_a_message_that_would_be_sent() {
        let state = Conversation::default();
        let bare =
            |actor| Command { attachments: vec![kept(2)], ..send_files(actor, "1", None, &[2, 1]) };
        assert_eq!(
            state.decide(&bare("alice")),
            Err(Refusal::NoAttachment(uuid::Uuid::from_u128(1)))
        );
        assert_eq!(state.wants_attachments(&bare("alice")).len(), 2);
        assert!(state.wants_attachments(&bare("eve")).is_empty());
        assert!(state.wants_attachments(&send("alice", "c-1", "hi")).is_empty());
        // What somebody claims to have looked up, without a file, is none.
        let claimed = Command {
            attachments: vec![kept(2), Attachment { file: None, ..kept(1) }],
            ..bare("alice")
        };
        assert!(state.decide(&claimed).is_err());
    }

    #[test]
    fn the_text_of_files_is_masked_as_any_other() {
        let asked = Command { masking: ALL, ..send_files("alice", "1", Some("a@b.example"), &[1]) };
        let masked =
            Body::Attachment { text: Some("•••".to_owned()), attachments: vec![kept(1)] };
        assert_eq!(said(&Conversation::default(), &asked), Some(masked));
        assert_eq!(given(std::slice::from_ref(&asked)).decide(&asked), Ok(None));
    }
}
