//! The cursor reports of one session. While one is under way, later ones of its kind and conversation
//! wait, and then go as one, to the furthest of them: a burst of messages that is delivered, or
//! read, is a few events of the log and not as many as messages.

use std::cmp::Reverse;

use parley_commands::Code;
use parley_domain::{Action, Answer, ConversationId};
use smol_str::SmolStr;

use super::{Refused, Ticket};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorKind {
    Delivered,
    Read,
}

impl CursorKind {
    /// `None` for what is no cursor report.
    pub(super) fn of(action: &Action) -> Option<(Self, u64)> {
        match action {
            Action::MarkDelivered { through_seq } => Some((Self::Delivered, *through_seq)),
            Action::MarkRead { through_seq } => Some((Self::Read, *through_seq)),
            Action::SendMessage { .. }
            | Action::EditMessage { .. }
            | Action::DeleteMessage { .. }
            | Action::ExpireMessage { .. }
            | Action::AddReaction { .. }
            | Action::RemoveReaction { .. }
            | Action::Create { .. }
            | Action::AddMember { .. }
            | Action::RemoveMember { .. }
            | Action::ChangeRole { .. }
            | Action::Rename { .. }
            | Action::SetTimer { .. }
            | Action::Block
            | Action::Unblock => None,
        }
    }

    fn action(self, through_seq: u64) -> Action {
        match self {
            Self::Delivered => Action::MarkDelivered { through_seq },
            Self::Read => Action::MarkRead { through_seq },
        }
    }
}

/// What the client asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub through_seq: u64,
    pub r#ref: Option<SmolStr>,
}

#[derive(Debug)]
struct Lane {
    conversation_id: ConversationId,
    kind: CursorKind,
    under_way: Vec<Asked>,
    waiting: Vec<Asked>,
}

/// Owns no memory while nothing is under way.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    lanes: Vec<Lane>,
}

/// What an answer means.
pub(super) struct Settled {
    pub acked: Vec<Asked>,
    pub refused: Vec<Asked>,
    /// To be run now, with the same ticket.
    pub next: Option<Action>,
}

impl Cursors {
    /// The action, if it is to be run now; otherwise it waits for the one under way.
    pub fn ask(
        &mut self,
        conversation_id: &ConversationId,
        kind: CursorKind,
        asked: Asked,
    ) -> Option<Action> {
        if let Some(lane) = self.find(conversation_id, kind) {
            lane.waiting.push(asked);
            return None;
        }
        let action = kind.action(asked.through_seq);
        let conversation_id = conversation_id.clone();
        self.lanes.push(Lane {
            conversation_id,
            kind,
            under_way: vec![asked],
            waiting: Vec::new(),
        });
        Some(action)
    }

    pub fn answered(
        &mut self,
        ticket: &Ticket,
        kind: CursorKind,
        result: &Result<Answer, Refused>,
    ) -> Settled {
        let Some(lane) = self.find(&ticket.conversation_id, kind) else {
            return Settled { acked: Vec::new(), refused: Vec::new(), next: None };
        };
        let mut asked = std::mem::take(&mut lane.under_way);
        let (mut acked, mut refused) = (Vec::new(), Vec::new());
        match result {
            Ok(_) => acked = asked,
            // Only the furthest is known to be wrong; the others are asked again without it.
            Err(error) if error.code == Code::BeyondLastMessage.as_str() => {
                asked.sort_by_key(|asked| Reverse(asked.through_seq));
                lane.waiting.splice(0..0, asked.drain(1.min(asked.len())..));
                refused = asked;
            }
            Err(_) => refused = asked,
        }
        lane.under_way = std::mem::take(&mut lane.waiting);
        let furthest = lane.under_way.iter().map(|asked| asked.through_seq).max();
        let next = furthest.map(|through_seq| kind.action(through_seq));
        if next.is_none() {
            self.lanes
                .retain(|lane| lane.kind != kind || lane.conversation_id != ticket.conversation_id);
        }
        if self.lanes.is_empty() {
            self.lanes = Vec::new();
        }
        Settled { acked, refused, next }
    }

    fn find(&mut self, id: &ConversationId, kind: CursorKind) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.kind == kind && lane.conversation_id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        let conversation_id = ConversationId::parse("d.alice.bob").unwrap();
        Ticket { r#ref: None, conversation_id, cursor: Some(CursorKind::Read) }
    }

    fn ask(cursors: &mut Cursors, through_seq: u64) -> Option<Action> {
        let asked = Asked { through_seq, r#ref: None };
        cursors.ask(&ticket().conversation_id, CursorKind::Read, asked)
    }

    fn seqs(asked: &[Asked]) -> Vec<u64> {
        asked.iter().map(|asked| asked.through_seq).collect()
    }

    #[test]
    fn a_burst_is_the_first_and_the_furthest() {
        let mut cursors = Cursors::default();
        assert_eq!(ask(&mut cursors, 1), Some(Action::MarkRead { through_seq: 1 }));
        for seq in [2, 100, 50] {
            assert_eq!(ask(&mut cursors, seq), None);
        }
        let done = || Ok(Answer::Cursor { version: 1, read_seq: 1, delivered_seq: 1 });
        let first = cursors.answered(&ticket(), CursorKind::Read, &done());
        assert_eq!(seqs(&first.acked), [1]);
        assert_eq!(first.next, Some(Action::MarkRead { through_seq: 100 }));
        let rest = cursors.answered(&ticket(), CursorKind::Read, &done());
        assert_eq!(seqs(&rest.acked), [2, 100, 50]);
        assert_eq!(rest.next, None);
        assert!(cursors.lanes.is_empty());
    }

    #[test]
    fn one_that_is_beyond_the_end_does_not_take_the_others_with_it() {
        let mut cursors = Cursors::default();
        ask(&mut cursors, 1);
        for seq in [7, 999, 5] {
            ask(&mut cursors, seq);
        }
        let done = Ok(Answer::Cursor { version: 1, read_seq: 1, delivered_seq: 1 });
        cursors.answered(&ticket(), CursorKind::Read, &done);
        let code = Code::BeyondLastMessage.as_str().into();
        let beyond = Err(Refused { code, message: "no".into(), retry_after_ms: 0 });
        let settled = cursors.answered(&ticket(), CursorKind::Read, &beyond);
        assert_eq!(seqs(&settled.refused), [999]);
        assert_eq!(settled.next, Some(Action::MarkRead { through_seq: 7 }));
        let away =
            Err(Refused { code: "unavailable".into(), message: "".into(), retry_after_ms: 1 });
        let settled = cursors.answered(&ticket(), CursorKind::Read, &away);
        assert_eq!(seqs(&settled.refused), [7, 5]);
        assert!(cursors.lanes.is_empty());
    }
}
