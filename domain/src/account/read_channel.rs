//! Note how far a channel was read.

use super::{Account, Refusal};
use crate::{
    event::{AccountEvent, ChannelRead},
    ids::{ConversationId, Kind},
};

impl Account {
    /// `None` unless it goes forward. Whether there is such a message is the channel's to know:
    /// the caller has asked.
    pub(super) fn read_channel(
        &self,
        id: &ConversationId,
        through_seq: u64,
    ) -> Result<Option<AccountEvent>, Refusal> {
        match id.kind() {
            Kind::Channel => {}
            Kind::Direct | Kind::Group => return Err(Refusal::NotAChannel),
        }
        if self.marks.of(id).read_through.unwrap_or_default() >= through_seq {
            return Ok(None);
        }
        self.marks.check_room(id)?;
        let read = ChannelRead { conversation_id: id.clone(), through_seq };
        Ok(Some(AccountEvent::ChannelRead(read)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer, Command,
        tests::{command, conversation, given},
    };
    use super::*;

    const CHANNEL: &str = "c.0193e5a0-7b1c-7def-8123-456789abcdef";

    fn read(id: &str, through_seq: u64) -> Command {
        let conversation_id = conversation(id);
        command("alice", Action::ReadChannel { conversation_id, through_seq })
    }

    #[test]
    fn a_watermark_only_goes_forward() {
        let state = given(&[read(CHANNEL, 3), read(CHANNEL, 7)]);
        assert_eq!(state.decide(&read(CHANNEL, 5)), Ok(None));
        assert_eq!(
            state.answer(&read(CHANNEL, 5)),
            Some(Answer::Read { version: 2, through_seq: 7 })
        );
        assert_eq!(given(&[]).decide(&read(CHANNEL, 0)), Ok(None));
    }

    #[test]
    fn only_a_channel_has_its_watermark_here() {
        assert_eq!(given(&[]).decide(&read("d.alice.bob", 1)), Err(Refusal::NotAChannel));
    }
}
