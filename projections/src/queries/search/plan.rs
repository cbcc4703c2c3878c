//! Which messages a search looks at, and in which order.

use std::collections::VecDeque;

use parley_domain::{ConversationId, Timestamp};

use super::cursor::Place;

/// The messages of a conversation from one number to another, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub conversation_id: ConversationId,
    /// Of the conversation's newest message.
    pub active_at: Timestamp,
    pub first_seq: u64,
    pub last_seq: u64,
}

impl Span {
    pub fn messages(&self) -> u64 {
        (self.last_seq + 1).saturating_sub(self.first_seq)
    }
}

/// Spans that have not been looked at, the next one first; each from its last message backward.
#[derive(Debug)]
pub(super) struct Plan(VecDeque<Span>);

impl Plan {
    pub fn new(spans: Vec<Span>) -> Self {
        Self(spans.into())
    }

    /// Takes out the next so many messages, or all that are left.
    pub fn take(&mut self, mut messages: u64) -> Vec<Span> {
        let mut taken = Vec::new();
        while messages > 0
            && let Some(mut span) = self.0.pop_front()
        {
            let rest = span.messages().saturating_sub(messages);
            if rest > 0 {
                let mut left = span.clone();
                left.last_seq -= messages;
                span.first_seq = left.last_seq + 1;
                self.0.push_front(left);
            }
            messages = messages.saturating_sub(span.messages());
            taken.push(span);
        }
        taken
    }

    /// What is next.
    pub fn place(&self) -> Option<Place> {
        self.0.front().map(|span| Place {
            active_at: span.active_at,
            conversation_id: span.conversation_id.clone(),
            conversation_seq: span.last_seq,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(name: usize, first_seq: u64, last_seq: u64) -> Span {
        let conversation_id = ConversationId::parse(&format!("d.a.b{name}")).unwrap();
        Span { conversation_id, active_at: Timestamp::default(), first_seq, last_seq }
    }

    fn messages(spans: &[Span]) -> Vec<(ConversationId, u64)> {
        let numbers = |span: &Span| (span.first_seq..=span.last_seq).rev();
        spans
            .iter()
            .flat_map(|span| numbers(span).map(|seq| (span.conversation_id.clone(), seq)))
            .collect()
    }

    proptest! {
        #[test]
        fn every_message_is_taken_once_and_in_order(
            spans in prop::collection::vec((1..5_u64, 0..20_u64), 0..8),
            parts in prop::collection::vec(1..30_u64, 0..40),
        ) {
            let spans: Vec<Span> = spans
                .into_iter()
                .enumerate()
                .map(|(name, (first, more))| span(name, first, first + more))
                .collect();
            let all = messages(&spans);
            let mut plan = Plan::new(spans);
            let mut taken = Vec::new();
            for part in parts {
                let place = plan.place();
                let next = messages(&plan.take(part));
                let wanted = part.min((all.len() - taken.len()) as u64);
                prop_assert_eq!(next.len() as u64, wanted);
                let first = place.map(|place| (place.conversation_id, place.conversation_seq));
                prop_assert_eq!(first.as_ref(), next.first());
                taken.extend(next);
            }
            prop_assert_eq!(&taken[..], &all[..taken.len()]);
            prop_assert_eq!(plan.place().is_none(), taken.len() == all.len());
        }
    }
}
