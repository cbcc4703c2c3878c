//! The last messages of a conversation, by the name that their sender gave them.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    event::MessageSent,
    ids::{ClientMessageId, UserId},
};

/// How many of a conversation's last messages a retry is recognised among.
pub const RECENT_MESSAGES: usize = 1_000;

/// One sent message, as far as a retry needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub sender_id: UserId,
    pub client_message_id: ClientMessageId,
    pub message_id: Uuid,
    pub conversation_seq: u64,
    pub version: u64,
    /// [`crate::Body::fingerprint`].
    pub fingerprint: u64,
}

/// At most [`RECENT_MESSAGES`], ascending by conversationSeq.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Sent>", into = "Vec<Sent>")]
pub struct Recent {
    order: VecDeque<(UserId, ClientMessageId)>,
    by_name: HashMap<(UserId, ClientMessageId), Sent>,
}

impl Recent {
    pub fn get(&self, sender: &UserId, name: &ClientMessageId) -> Option<&Sent> {
        self.by_name.get(&(sender.clone(), name.clone()))
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn record(&mut self, sender: &UserId, sent: &MessageSent, version: u64) {
        self.push(Sent {
            sender_id: sender.clone(),
            client_message_id: sent.client_message_id.clone(),
            message_id: sent.message_id,
            conversation_seq: sent.conversation_seq,
            version,
            fingerprint: sent.body.fingerprint(),
        });
    }

    /// Messages come in order; what is not after the last one is known or too old to matter.
    fn push(&mut self, sent: Sent) {
        let last = self.order.back().and_then(|name| self.by_name.get(name));
        if last.is_some_and(|last| sent.conversation_seq <= last.conversation_seq) {
            return;
        }
        let name = (sent.sender_id.clone(), sent.client_message_id.clone());
        // A name may come again after more than `RECENT_MESSAGES` others only, so never here; were
        // it here (a log written by hand), the first message keeps the name.
        if self.by_name.contains_key(&name) {
            return;
        }
        self.by_name.insert(name.clone(), sent);
        self.order.push_back(name);
        if self.order.len() > RECENT_MESSAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_name.remove(&oldest);
        }
    }

    /// About how much memory this takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        let per_message = size_of::<Sent>() + 2 * size_of::<(UserId, ClientMessageId)>() + 64;
        self.order.len() * per_message
    }
}

impl From<Vec<Sent>> for Recent {
    /// In ascending order of conversationSeq; keeps the last [`RECENT_MESSAGES`].
    fn from(messages: Vec<Sent>) -> Self {
        let mut recent = Self::default();
        for sent in messages {
            recent.push(sent);
        }
        recent
    }
}

impl From<Recent> for Vec<Sent> {
    fn from(mut recent: Recent) -> Self {
        recent.order.iter().filter_map(|name| recent.by_name.remove(name)).collect()
    }
}

impl PartialEq for Recent {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order && self.by_name == other.by_name
    }
}

impl Eq for Recent {}

#[cfg(test)]
mod tests {
    use super::super::tests::{given, send, user};
    use super::*;

    #[test]
    fn a_retry_is_recognised_among_the_last_thousand() {
        let commands: Vec<_> =
            (0..=RECENT_MESSAGES).map(|n| send("alice", &format!("c-{n}"), "hi")).collect();
        let state = given(&commands);
        let known = |n: usize| {
            let name = ClientMessageId::parse(&format!("c-{n}")).unwrap();
            state.recent.get(&user("alice"), &name).is_some()
        };
        assert_eq!(state.recent.len(), RECENT_MESSAGES);
        assert!(!known(0));
        assert!(known(1));
        assert!(known(RECENT_MESSAGES));
        let messages: Vec<Sent> = state.recent.clone().into();
        assert_eq!(Recent::from(messages), state.recent);
    }
}
