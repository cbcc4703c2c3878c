//! Edit a message: its sender, within a day. Its files stay as they are.

use std::time::Duration;

use super::{Command, Conversation, Refusal, Scope};
use crate::{
    body::{Attachment, Body},
    event::{EventData, MessageEdited},
    ids::Kind,
};

/// How long after it was sent a message may be edited.
pub const EDIT_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Conversation {
    /// `None` if the message says that already.
    pub(super) fn edit(
        &self,
        command: &Command,
        seq: u64,
        body: &Body,
    ) -> Result<Option<EventData>, Refusal> {
        let sent = self.message(command, seq)?;
        if sent.sender_id != command.actor.user_id {
            return Err(Refusal::NotSender);
        }
        let content = sent.content.as_ref().ok_or(Refusal::Deleted)?;
        let for_services = content.is_for_services || content.would_be_for_services(body);
        if for_services && command.actor.scope != Scope::Service {
            return Err(Refusal::ServicesOnly);
        }
        let same = |one: &Attachment, other: &Attachment| one.attachment_id == other.attachment_id;
        if body.attachments().len() != content.attachments.len()
            || !body.attachments().iter().zip(&content.attachments).all(|(a, b)| same(a, b))
        {
            return Err(Refusal::AttachmentsChanged);
        }
        let body = self.masked(command, body).unwrap_or_else(|| body.clone());
        let body = body.with_attachments(content.attachments.clone());
        // Before the times are looked at: a retry is no second edit, however late it comes.
        if content.now() == body.fingerprint() {
            return Ok(None);
        }
        self.not_blocked()?;
        if sent.expires_at.is_some_and(|at| at <= command.time) {
            return Err(Refusal::Deleted);
        }
        if command.time.is_later_than(sent.created_at, EDIT_WINDOW) {
            return Err(Refusal::TooLate { hours: EDIT_WINDOW.as_secs() / 3_600 });
        }
        let sent_version = match command.conversation_id.kind() {
            Kind::Direct => None,
            Kind::Group | Kind::Channel => Some(sent.version),
        };
        let edited = MessageEdited { conversation_seq: seq, sent_version, body };
        Ok(Some(EventData::MessageEdited(edited)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer,
        tests::{command, delete, edit, given, kept, later, send, send_files},
    };
    use super::*;
    use crate::masking::Masking;

    #[test]
    fn an_edit_is_one_event_and_the_same_again_none() {
        let state = given(&[send("alice", "c-1", "hi"), edit("alice", 1, "hello")]);
        assert_eq!((state.version, state.last_seq), (2, 1));
        assert_eq!(state.decide(&edit("alice", 1, "hello")), Ok(None));
        assert_eq!(
            state.answer(&edit("alice", 1, "hello"), false),
            Some(Answer::Done { version: 2, changed: false })
        );
        assert!(matches!(state.decide(&edit("alice", 1, "hi")), Ok(Some(_))));
        // The message is known by what was sent first.
        assert_eq!(state.decide(&send("alice", "c-1", "hi")), Ok(None));
        assert!(state.decide(&send("alice", "c-1", "hello")).is_err());
    }

    #[test]
    fn only_its_sender_edits_a_message_that_is_there() {
        let state = given(&[send("alice", "c-1", "hi")]);
        assert_eq!(state.decide(&edit("bob", 1, "ho")), Err(Refusal::NotSender));
        assert_eq!(state.decide(&edit("eve", 1, "ho")), Err(Refusal::NotFound));
        for seq in [0, 2, u64::MAX] {
            assert_eq!(state.decide(&edit("alice", seq, "ho")), Err(Refusal::NoMessage));
        }
        let state = given(&[send("alice", "c-1", "hi"), delete("alice", 1)]);
        assert_eq!(state.decide(&edit("alice", 1, "ho")), Err(Refusal::Deleted));
    }

    #[test]
    fn a_day_later_it_is_too_late() {
        let state = given(&[send("alice", "c-1", "hi")]);
        assert!(matches!(state.decide(&later(24, 0, edit("alice", 1, "ho"))), Ok(Some(_))));
        let late = later(24, 1, edit("alice", 1, "ho"));
        assert_eq!(state.decide(&late), Err(Refusal::TooLate { hours: 24 }));
    }

    #[test]
    fn what_a_person_edits_is_masked_as_what_they_send() {
        let masking = Masking { emails: true, ..Masking::default() };
        let asked = Command { masking, ..edit("alice", 1, "mail a@b.example") };
        let state = given(&[send("alice", "c-1", "hi"), asked.clone()]);
        assert_eq!(state.decide(&asked), Ok(None));
        assert_eq!(state.decide(&edit("alice", 1, "mail •••")), Ok(None));
        // With an order, it may be said after all.
        let ordered = Conversation { has_order: true, ..state };
        let event = ordered.decide(&asked).unwrap().unwrap();
        let EventData::MessageEdited(edited) = event.data else { panic!("{event:?}") };
        assert_eq!(edited.body, Body::Text { text: "mail a@b.example".to_owned() });
    }

    #[test]
    fn a_card_of_the_marketplace_is_only_its_own_to_change() {
        let card: Body =
            serde_json::from_str(r#"{"kind":"order","refId":"O-1","title":"Bicycle"}"#).unwrap();
        let sent = |scope, body: &Body| {
            let mut sent = command(
                "alice",
                Action::SendMessage {
                    client_message_id: crate::ClientMessageId::parse("o-1").unwrap(),
                    body: body.clone(),
                    reply_to: None,
                },
            );
            sent.actor.scope = scope;
            given(&[sent])
        };
        let forged =
            command("alice", Action::EditMessage { conversation_seq: 1, body: card.clone() });
        let by_service = sent(Scope::Service, &card);
        assert_eq!(by_service.decide(&edit("alice", 1, "paid")), Err(Refusal::ServicesOnly));
        // Nor does a text that it wrote in her name become its card.
        let hi = Body::Text { text: "hi".to_owned() };
        let by_service = sent(Scope::Service, &hi);
        assert_eq!(by_service.decide(&forged), Err(Refusal::ServicesOnly));
        assert!(matches!(by_service.decide(&edit("alice", 1, "ho")), Ok(Some(_))));
        let by_herself = sent(Scope::User, &hi);
        assert!(matches!(by_herself.decide(&forged), Ok(Some(_))));
    }

    #[test]
    fn what_a_service_said_is_not_its_persons_to_change() {
        let system = |text: &str| {
            let mut system = command(
                "alice",
                Action::SendMessage {
                    client_message_id: crate::ClientMessageId::parse("s-1").unwrap(),
                    body: Body::System { text: text.to_owned() },
                    reply_to: None,
                },
            );
            system.actor.scope = Scope::Service;
            system
        };
        let state = given(&[system("order shipped")]);
        assert_eq!(state.decide(&edit("alice", 1, "not")), Err(Refusal::ServicesOnly));
        assert_eq!(state.decide(&delete("alice", 1)), Err(Refusal::ServicesOnly));
        let mut by_service = edit("alice", 1, "order shipped today");
        by_service.actor.scope = Scope::Service;
        assert!(matches!(state.decide(&by_service), Ok(Some(_))));
    }

    #[test]
    fn of_a_message_with_files_only_the_text_changes() {
        let state = given(&[send_files("alice", "c-1", Some("look"), &[1, 2])]);
        let edit = |text: Option<&str>, files: &[u128]| {
            let sent = send_files("alice", "c-2", text, files);
            let Action::SendMessage { body, .. } = sent.action else { panic!("{sent:?}") };
            command("alice", Action::EditMessage { conversation_seq: 1, body })
        };
        assert_eq!(state.decide(&edit(Some("look"), &[1, 2])), Ok(None));
        for text in [Some("look here"), None] {
            let event = state.decide(&edit(text, &[1, 2])).unwrap().unwrap();
            let EventData::MessageEdited(edited) = event.data else { panic!("{event:?}") };
            let text = text.map(str::to_owned);
            let attachments = vec![kept(1), kept(2)];
            assert_eq!(edited.body, Body::Attachment { text, attachments });
        }
        for files in [&[1][..], &[2, 1], &[1, 2, 3]] {
            let refused = state.decide(&edit(Some("look"), files));
            assert_eq!(refused, Err(Refusal::AttachmentsChanged), "{files:?}");
        }
        let text = super::super::tests::edit("alice", 1, "look");
        assert_eq!(state.decide(&text), Err(Refusal::AttachmentsChanged));
        let plain = given(&[send("alice", "c-1", "hi")]);
        assert_eq!(plain.decide(&edit(None, &[1])), Err(Refusal::AttachmentsChanged));
    }
}
