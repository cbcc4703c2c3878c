//! React to a message with an emoji, or take a reaction back.

use super::{Command, Conversation, Refusal};
use crate::{
    emoji::Emoji,
    event::{EventData, Reaction},
};

/// How many different emoji a message carries.
pub const MAX_EMOJI: usize = 20;
/// How many reactions a message carries, of everybody together: a channel has any number of readers.
pub const MAX_REACTIONS: usize = 1_000;

impl Conversation {
    /// `None` if the actor has reacted so already.
    pub(super) fn react(
        &self,
        command: &Command,
        seq: u64,
        emoji: &Emoji,
    ) -> Result<Option<EventData>, Refusal> {
        let sent = self.message(command, seq)?;
        let content = sent.content.as_ref().ok_or(Refusal::Deleted)?;
        let alike = content.reactions.get(emoji);
        if alike.is_some_and(|users| users.contains(&command.actor.user_id)) {
            return Ok(None);
        }
        self.not_blocked()?;
        if sent.expires_at.is_some_and(|at| at <= command.time) {
            return Err(Refusal::Deleted);
        }
        let all: usize = content.reactions.values().map(|users| users.len()).sum();
        if (alike.is_none() && content.reactions.len() >= MAX_EMOJI) || all >= MAX_REACTIONS {
            return Err(Refusal::TooManyReactions);
        }
        Ok(Some(EventData::ReactionAdded(reaction(seq, emoji))))
    }

    /// `None` if there is no such reaction of the actor.
    pub(super) fn take_back(
        &self,
        command: &Command,
        seq: u64,
        emoji: &Emoji,
    ) -> Result<Option<EventData>, Refusal> {
        let sent = self.message(command, seq)?;
        let reacted = sent.content.as_ref().is_some_and(|content| {
            let users = content.reactions.get(emoji);
            users.is_some_and(|users| users.contains(&command.actor.user_id))
        });
        Ok(reacted.then(|| EventData::ReactionRemoved(reaction(seq, emoji))))
    }
}

fn reaction(conversation_seq: u64, emoji: &Emoji) -> Reaction {
    Reaction { conversation_seq, emoji: emoji.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action,
        tests::{command, delete, given, react, send, user},
    };
    use super::*;

    fn take_back(actor: &str, emoji: &str) -> Command {
        let emoji = Emoji::parse(emoji).unwrap();
        command(actor, Action::RemoveReaction { conversation_seq: 1, emoji })
    }

    #[test]
    fn everybody_reacts_once_with_an_emoji_and_may_take_it_back() {
        let both = [react("alice", 1, "👍"), react("bob", 1, "👍")];
        let mut commands = vec![send("alice", "c-1", "hi")];
        commands.extend(both);
        let state = given(&commands);
        let content = state.recent.by_seq(1).unwrap().content.clone().unwrap();
        let users = &content.reactions[&Emoji::parse("👍").unwrap()];
        assert!(users.contains(&user("alice")) && users.contains(&user("bob")));
        assert_eq!(state.decide(&react("bob", 1, "👍")), Ok(None));
        assert!(matches!(state.decide(&react("bob", 1, "❤️")), Ok(Some(_))));
        commands.extend([take_back("bob", "👍"), take_back("alice", "👍")]);
        let state = given(&commands);
        assert!(state.recent.by_seq(1).unwrap().content.as_ref().unwrap().reactions.is_empty());
        assert_eq!(state.decide(&take_back("bob", "👍")), Ok(None));
    }

    #[test]
    fn a_message_carries_twenty_emoji() {
        let emoji = |n: usize| char::from_u32(0x1f600 + n as u32).unwrap().to_string();
        let mut commands = vec![send("alice", "c-1", "hi")];
        commands.extend((0..MAX_EMOJI).map(|n| react("bob", 1, &emoji(n))));
        let state = given(&commands);
        assert_eq!(
            state.decide(&react("bob", 1, &emoji(MAX_EMOJI))),
            Err(Refusal::TooManyReactions)
        );
        assert!(matches!(state.decide(&react("alice", 1, &emoji(0))), Ok(Some(_))));
    }

    #[test]
    fn nobody_reacts_to_what_is_not_there() {
        let state = given(&[send("alice", "c-1", "hi"), delete("alice", 1)]);
        assert_eq!(state.decide(&react("bob", 1, "👍")), Err(Refusal::Deleted));
        assert_eq!(state.decide(&take_back("bob", "👍")), Ok(None));
        assert_eq!(state.decide(&react("bob", 2, "👍")), Err(Refusal::NoMessage));
        assert_eq!(state.decide(&react("eve", 1, "👍")), Err(Refusal::NotFound));
    }
}
