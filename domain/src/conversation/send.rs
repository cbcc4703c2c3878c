//! Send a message.

use super::{Command, Conversation, Refusal, Scope};
use crate::{
    body::Body,
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
            let known = sent.content.as_ref();
            return if known.is_none_or(|content| content.sent == body.fingerprint()) {
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
        Ok(Some(EventData::MessageSent(MessageSent {
            conversation_seq: self.last_seq.saturating_add(1),
            message_id: command.event_id,
            client_message_id: client_message_id.clone(),
            body: body.clone(),
            reply_to,
            expires_at: self.expiry(command.time),
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

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer, Cursor,
        tests::{CHANNEL, GROUP, command, create, given, group, inside, send, user},
    };
    use super::*;

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
}
