//! What somebody sees of a conversation.

use serde_json::{Value, json};

use super::{Cursors, Member, Room, User};

impl Room {
    /// The version, the last message, the title and the number of members as somebody sees them.
    pub(super) fn seen(&self, user: &str) -> (u64, u64, Option<String>, usize) {
        match self.left.get(user) {
            Some(left) => (left.version, left.last_seq, left.title.clone(), left.count),
            None if self.is_direct() => (self.version, self.last_seq(), None, 2),
            None => (self.version, self.last_seq(), self.title.clone(), self.members.len()),
        }
    }

    pub(super) fn summary(&self, user: &str) -> Value {
        let (version, last_seq, title, count) = self.seen(user);
        let is_present = self.is_in(user);
        let cursors = self.cursors_of(user);
        let watermark = self.watermarks.get(user).copied().unwrap_or_default();
        let (read, delivered) = (cursors.read.max(watermark), cursors.delivered.max(watermark));
        let unread = (read + 1..=last_seq).filter(|seq| {
            let message = &self.messages[*seq as usize - 1];
            message.text.is_some() && message.sender != user
        });
        let mut summary = json!({
            "conversationId": self.id, "kind": self.kind(), "memberCount": count,
            "lastSeq": last_seq, "version": version, "unread": unread.count(),
            "readSeq": read, "deliveredSeq": delivered,
            "muted": false, "pinned": false, "archived": false,
            "blockedByMe": self.blockers.contains(user),
            "canSend": match self.kind() {
                "direct" => self.blockers.is_empty(),
                "group" => is_present,
                _ => self.leads(user),
            },
            "timerSeconds": if is_present { self.timer } else { 0 },
        });
        if let Some(title) = title {
            summary["title"] = json!(title);
        }
        if self.sees(user, last_seq) {
            summary["lastMessage"] = self.message(last_seq);
        }
        if self.is_direct() {
            let members = self.pair().map(|user| json!({"userId": user, "role": "member"}));
            summary["members"] = members.collect();
            let peer = self.pair().find(|one| *one != user).map(|peer| self.cursors_of(peer));
            let peer = peer.unwrap_or_default();
            summary["peerReadSeq"] = json!(peer.shown_read);
            summary["peerDeliveredSeq"] = json!(peer.shown_delivered);
        } else if is_present {
            let is_shown =
                |(_, member): &(&User, &Member)| self.kind() == "group" || member.role != "member";
            let shown = self.members.iter().filter(is_shown);
            summary["members"] =
                shown.map(|(user, member)| json!({"userId": user, "role": member.role})).collect();
        }
        summary
    }

    pub(super) fn message(&self, seq: u64) -> Value {
        let of = &self.messages[seq as usize - 1];
        let body = of.text.as_ref().map(|text| json!({"kind": "text", "text": text}));
        let mut message = json!({
            "conversationId": self.id, "conversationSeq": seq, "clientMessageId": of.name,
            "senderId": of.sender, "body": body, "version": of.saying[0],
        });
        if let Some(reply_to) = of.reply_to {
            message["replyTo"] = json!(reply_to);
        }
        let is_deleted = of.text.is_none();
        for (name, is_so) in
            [("editedAt", of.is_edited), ("deletedAt", is_deleted), ("expiresAt", of.expires)]
        {
            if is_so {
                message[name] = json!("some time");
            }
        }
        if !of.reactions.is_empty() {
            let reactions = of.reactions.iter();
            message["reactions"] =
                reactions.map(|(emoji, users)| json!({"emoji": emoji, "userIds": users})).collect();
        }
        message
    }

    pub(super) fn receipts(&self, user: &str, seq: u64) -> Option<Value> {
        if !self.is_in(user) || !self.sees(user, seq) {
            return None;
        }
        if self.kind() == "channel" {
            return Some(json!({"readBy": [], "deliveredTo": [], "members": self.members.len()}));
        }
        let everybody: Vec<&str> = match self.is_direct() {
            true => self.pair().collect(),
            false => self.members.keys().copied().filter(|one| self.sees(one, seq)).collect(),
        };
        let sender = self.messages[seq as usize - 1].sender;
        let those = |has: fn(Cursors) -> u64| -> Value {
            let others = everybody.iter().filter(|one| **one != sender);
            let those = others.filter(|one| has(self.cursors_of(one)) >= seq);
            those.map(|one| json!({"userId": one})).collect()
        };
        Some(json!({
            "readBy": those(|cursors| cursors.shown_read),
            "deliveredTo": those(|cursors| cursors.shown_delivered),
            "members": everybody.len(),
        }))
    }
}
