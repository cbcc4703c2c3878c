//! Drafts: the last one by the devices' clocks is the draft, whichever arrives last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Account, Refusal};
use crate::{
    body::MAX_TEXT_CHARACTERS,
    event::{AccountEvent, DraftCleared, DraftSaved},
    ids::ConversationId,
    timestamp::Timestamp,
};

/// How many drafts an account has at most.
pub const MAX_DRAFTS: usize = 100;
/// How many conversations an account remembers the last draft's time of. One more is remembered
/// instead of the one that was cleared longest ago.
pub const MAX_DRAFT_TIMES: usize = 1_000;

/// What was written last in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// `None` once cleared: then it only keeps what was written before away.
    pub text: Option<String>,
    pub saved_at: Timestamp,
    /// Of the event.
    pub version: u64,
}

/// At most [`MAX_DRAFT_TIMES`], of them [`MAX_DRAFTS`] with a text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Drafts(BTreeMap<ConversationId, Draft>);

impl Drafts {
    /// From what the views hold.
    pub fn new(drafts: impl IntoIterator<Item = (ConversationId, Draft)>) -> Self {
        Self(drafts.into_iter().collect())
    }

    pub fn of(&self, id: &ConversationId) -> Option<&Draft> {
        self.0.get(id)
    }

    pub(super) fn save(&mut self, event: &DraftSaved, version: u64) {
        let draft = Draft { text: Some(event.text.clone()), saved_at: event.saved_at, version };
        self.put(&event.conversation_id, draft);
    }

    pub(super) fn clear(&mut self, event: &DraftCleared, version: u64) {
        let draft = Draft { text: None, saved_at: event.saved_at, version };
        self.put(&event.conversation_id, draft);
    }

    fn put(&mut self, id: &ConversationId, draft: Draft) {
        self.0.insert(id.clone(), draft);
        while self.0.len() > MAX_DRAFT_TIMES {
            let cleared = self.0.iter().filter(|(_, draft)| draft.text.is_none());
            let oldest = cleared.min_by_key(|(_, draft)| draft.version);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
            self.0.remove(&oldest);
        }
    }

    /// Whether what was written then comes after all that is known. Of two at the same time, the
    /// greater text is the later one: every order of arrival then ends with the same.
    fn is_later(&self, id: &ConversationId, saved_at: Timestamp, text: Option<&str>) -> bool {
        self.0
            .get(id)
            .is_none_or(|known| (known.saved_at, known.text.as_deref()) < (saved_at, text))
    }

    /// About how much memory this takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        let texts: usize =
            self.0.values().map(|draft| draft.text.as_ref().map_or(0, String::len)).sum();
        texts + self.0.len() * (size_of::<(ConversationId, Draft)>() + 96)
    }
}

impl Account {
    /// `None` if a later one is known. A device whose clock is fast does not shut the others out:
    /// what it says is to come counts as now.
    pub(super) fn save_draft(
        &self,
        id: &ConversationId,
        text: &str,
        saved_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<AccountEvent>, Refusal> {
        if text.chars().count() > MAX_TEXT_CHARACTERS || text.contains('\0') || text.is_empty() {
            return Err(Refusal::Draft);
        }
        let saved_at = saved_at.map_or(now, |at| at.min(now));
        if !self.drafts.is_later(id, saved_at, Some(text)) {
            return Ok(None);
        }
        let texts = self.drafts.0.iter().filter(|(_, draft)| draft.text.is_some());
        if texts.filter(|(other, _)| *other != id).count() >= MAX_DRAFTS {
            return Err(Refusal::TooManyDrafts);
        }
        let (conversation_id, text) = (id.clone(), text.to_owned());
        Ok(Some(AccountEvent::DraftSaved(DraftSaved { conversation_id, text, saved_at })))
    }

    /// `None` if there is none, or a later one.
    pub(super) fn clear_draft(
        &self,
        id: &ConversationId,
        saved_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<AccountEvent> {
        let saved_at = saved_at.map_or(now, |at| at.min(now));
        let known = self.drafts.of(id)?;
        // What is cleared already stays so; at the same time, clearing is what comes first.
        if known.text.is_none() || !self.drafts.is_later(id, saved_at, None) {
            return None;
        }
        let conversation_id = id.clone();
        Some(AccountEvent::DraftCleared(DraftCleared { conversation_id, saved_at }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Command,
        tests::{NOW, command, conversation, given},
    };
    use super::*;

    fn save(text: &str, at: i64) -> Command {
        let saved_at = Some(Timestamp::from_unix_millis(NOW + at));
        let (conversation_id, text) = (conversation("d.alice.bob"), text.to_owned());
        command("alice", Action::SaveDraft { conversation_id, text, saved_at })
    }

    fn clear(at: i64) -> Command {
        let saved_at = Some(Timestamp::from_unix_millis(NOW + at));
        let conversation_id = conversation("d.alice.bob");
        command("alice", Action::ClearDraft { conversation_id, saved_at })
    }

    fn text(commands: &[Command]) -> Option<String> {
        given(commands).drafts.of(&conversation("d.alice.bob")).and_then(|draft| draft.text.clone())
    }

    #[test]
    fn the_last_writer_by_device_time_wins_in_every_order() {
        let (early, late, tie) = (save("early", -20), save("late", -10), save("later", -10));
        for order in [
            [&early, &late, &tie],
            [&early, &tie, &late],
            [&late, &early, &tie],
            [&late, &tie, &early],
            [&tie, &early, &late],
            [&tie, &late, &early],
        ] {
            assert_eq!(text(&order.map(Clone::clone)).as_deref(), Some("later"));
        }
    }

    #[test]
    fn what_was_written_before_a_clearing_does_not_come_back() {
        assert_eq!(text(&[save("x", -20), clear(-10), save("y", -15)]), None);
        assert_eq!(text(&[save("x", -10), clear(-20)]).as_deref(), Some("x"));
        assert_eq!(text(&[save("x", -20), clear(-10), save("y", -5)]).as_deref(), Some("y"));
        assert_eq!(given(&[]).decide(&clear(-10)), Ok(None));
        assert_eq!(given(&[save("x", -20), clear(-10)]).decide(&clear(-5)), Ok(None));
    }

    #[test]
    fn a_clock_that_is_fast_does_not_shut_the_others_out() {
        let state = given(&[save("from the future", 86_400_000)]);
        let mut next = save("now", 1);
        next.time = Timestamp::from_unix_millis(NOW + 1);
        assert!(matches!(state.decide(&next), Ok(Some(_))));
    }

    #[test]
    fn a_draft_is_some_text_of_a_messages_length() {
        assert!(given(&[]).decide(&save(&"é".repeat(MAX_TEXT_CHARACTERS), 0)).is_ok());
        for bad in ["", "a\0b", &"x".repeat(MAX_TEXT_CHARACTERS + 1)] {
            assert_eq!(given(&[]).decide(&save(bad, 0)), Err(Refusal::Draft));
        }
    }

    #[test]
    fn drafts_are_bounded_and_what_was_cleared_longest_ago_is_forgotten() {
        let with = |n: usize, text: Option<&str>| {
            let conversation_id = conversation(&format!("d.alice.b{n}"));
            let saved_at = Some(Timestamp::from_unix_millis(NOW));
            command(
                "alice",
                match text {
                    Some(text) => {
                        Action::SaveDraft { conversation_id, text: text.to_owned(), saved_at }
                    }
                    None => Action::ClearDraft { conversation_id, saved_at: None },
                },
            )
        };
        let mut state = Account::default();
        for n in 0..MAX_DRAFTS {
            let event = state.decide(&with(n, Some("x"))).unwrap().unwrap();
            state.evolve(&event);
        }
        assert_eq!(state.decide(&with(MAX_DRAFTS, Some("x"))), Err(Refusal::TooManyDrafts));
        assert!(matches!(state.decide(&with(0, Some("y"))), Ok(Some(_))));
        for n in 0..=MAX_DRAFT_TIMES {
            let cleared = DraftCleared {
                conversation_id: conversation(&format!("d.alice.c{n}")),
                saved_at: Timestamp::from_unix_millis(NOW),
            };
            state.drafts.clear(&cleared, 1_000 + n as u64);
        }
        assert_eq!(state.drafts.0.len(), MAX_DRAFT_TIMES);
        assert!(state.drafts.of(&conversation("d.alice.b0")).is_some());
        assert!(state.drafts.of(&conversation("d.alice.c0")).is_none());
    }
}
