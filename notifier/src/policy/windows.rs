//! The windows of one shard that are open: who has not read what for how long.
//!
//! They are made from the log alone, so they are kept in memory only: the position behind which
//! everything is settled stays before the first message of the oldest open one, and whoever takes
//! over reads from there. A message that is read soon, as in any lively conversation, so costs the
//! database nothing.

use std::collections::{HashMap, VecDeque};

use parley_domain::Timestamp;
use smol_str::SmolStr;

/// A person and a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub user: SmolStr,
    pub conversation: SmolStr,
}

/// A window that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Of the message that opened it.
    pub position: u64,
    pub due: Timestamp,
    /// Whether they were away when it was opened.
    pub was_away: bool,
}

/// All open windows of a shard.
#[derive(Debug, Default)]
pub struct Windows {
    open: HashMap<Key, Window>,
    /// In the order of their opening; what is not in `open` any more is skipped.
    order: VecDeque<(u64, Key)>,
}

impl Windows {
    /// A message came for somebody; says whether it opened a window.
    pub fn message(&mut self, key: Key, window: impl FnOnce(&Key) -> Window) -> bool {
        if self.open.contains_key(&key) {
            return false;
        }
        let window = window(&key);
        self.order.push_back((window.position, key.clone()));
        self.open.insert(key, window);
        if self.order.len() > self.open.len() * 2 + 1_024 {
            let open = &self.open;
            self.order.retain(|(position, key)| is_open(open, *position, key));
        }
        true
    }

    /// Somebody read something: whatever waited for them there no longer does.
    pub fn read(&mut self, key: &Key) -> Option<Window> {
        self.open.remove(key)
    }

    /// Takes the windows that end by `now`. Those of a later message never end before: the log is
    /// in order of time, or so near to it that it does not matter.
    pub fn take_ended(&mut self, now: Timestamp) -> Vec<(Key, Window)> {
        let mut ended = Vec::new();
        while let Some((position, key)) = self.order.front() {
            match self.open.get(key) {
                Some(window) if window.position == *position => {
                    if window.due > now {
                        break;
                    }
                    if let Some(entry) = self.open.remove_entry(key) {
                        ended.push(entry);
                    }
                }
                Some(_) | None => {}
            }
            self.order.pop_front();
        }
        ended
    }

    /// Everything before this position is settled; `None` if no window is open.
    pub fn oldest(&mut self) -> Option<u64> {
        while let Some((position, key)) = self.order.front() {
            if is_open(&self.open, *position, key) {
                return Some(*position);
            }
            self.order.pop_front();
        }
        None
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

fn is_open(open: &HashMap<Key, Window>, position: u64, key: &Key) -> bool {
    open.get(key).is_some_and(|window| window.position == position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: &str) -> Key {
        Key { user: user.into(), conversation: "d.a.b".into() }
    }

    fn window(position: u64, due: i64) -> Window {
        Window { position, due: Timestamp::from_unix_millis(due), was_away: true }
    }

    fn ended(windows: &mut Windows, now: i64) -> Vec<u64> {
        let ended = windows.take_ended(Timestamp::from_unix_millis(now));
        ended.into_iter().map(|(_, window)| window.position).collect()
    }

    #[test]
    fn the_first_message_opens_and_the_others_count() {
        let mut windows = Windows::default();
        assert!(windows.message(key("bob"), |_| window(1, 30)));
        assert!(!windows.message(key("bob"), |_| window(2, 31)));
        assert!(windows.message(key("eve"), |_| window(3, 32)));
        assert_eq!(windows.oldest(), Some(1));
        assert!(ended(&mut windows, 29).is_empty());
        assert_eq!(ended(&mut windows, 30), [1]);
        assert_eq!(windows.oldest(), Some(3));
        assert!(windows.message(key("bob"), |_| window(4, 60)));
        assert_eq!(ended(&mut windows, 100), [3, 4]);
        assert!(windows.is_empty());
    }

    #[test]
    fn a_reading_cancels_and_the_next_message_opens_anew() {
        let mut windows = Windows::default();
        windows.message(key("bob"), |_| window(1, 30));
        assert_eq!(windows.read(&key("bob")), Some(window(1, 30)));
        assert_eq!(windows.read(&key("bob")), None);
        assert_eq!(windows.oldest(), None);
        windows.message(key("bob"), |_| window(5, 40));
        assert!(ended(&mut windows, 35).is_empty());
        assert_eq!(windows.oldest(), Some(5));
        assert_eq!(ended(&mut windows, 40), [5]);
    }

    #[test]
    fn what_was_cancelled_takes_no_room() {
        let mut windows = Windows::default();
        windows.message(key("eve"), |_| window(0, i64::from(u32::MAX)));
        for position in 1..100_000 {
            windows.message(key("bob"), |_| window(position, i64::from(u32::MAX)));
            windows.read(&key("bob"));
        }
        assert_eq!(windows.len(), 1);
        assert!(windows.order.len() < 2_000, "{}", windows.order.len());
    }
}
