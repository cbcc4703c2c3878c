//! What Parley promises of people and their conversations, said as simply as can be: one thing after
//! the other, in plain maps, with no log and no cache.

mod rules;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub type User = &'static str;
/// `owner`, `admin` or `member`.
pub type Role = &'static str;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Act {
    pub by: User,
    /// The conversation.
    pub id: String,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Send { name: String, text: String, reply_to: Option<u64> },
    Edit { seq: u64, text: String },
    Delete { seq: u64 },
    React { seq: u64, emoji: &'static str },
    TakeBack { seq: u64, emoji: &'static str },
    Read { through: u64 },
    Delivered { through: u64 },
    Create { title: String, members: Vec<User> },
    Put { user: User, role: Option<Role> },
    Remove { user: User },
    Rename { title: Option<String> },
    Timer { seconds: u64 },
    Block,
    Unblock,
}

/// The status, and what the answer says among other things.
pub type Outcome = (u16, Value);

/// The status and the code.
type Refused = (u16, &'static str);

/// Everything that there is.
#[derive(Default)]
pub struct World {
    rooms: BTreeMap<String, Room>,
    /// Events of each account: those of channels that were read.
    accounts: BTreeMap<User, u64>,
    /// Every text of a message, with its conversation and number.
    texts: BTreeMap<String, (String, u64)>,
    /// Every title, with its conversation and the first version that had it.
    titles: BTreeMap<String, (String, u64)>,
}

/// A conversation.
#[derive(Default)]
struct Room {
    id: String,
    /// The last event's.
    version: u64,
    title: Option<String>,
    timer: u64,
    members: BTreeMap<User, Member>,
    stays: BTreeMap<User, Vec<Stay>>,
    left: BTreeMap<User, Left>,
    cursors: BTreeMap<User, Cursors>,
    /// How far each has read a channel, as they said themselves.
    watermarks: BTreeMap<User, u64>,
    blockers: BTreeSet<User>,
    messages: Vec<Message>,
    /// Versions of events that say what a deleted message said.
    erased: BTreeSet<u64>,
}

#[derive(Clone, Copy)]
struct Member {
    role: Role,
    since: u64,
}

/// From one's coming to one's going, in versions and in messages.
#[derive(Clone, Copy)]
struct Stay {
    versions: (u64, u64),
    messages: (u64, u64),
}

/// What there was to see for somebody who left.
struct Left {
    version: u64,
    last_seq: u64,
    title: Option<String>,
    count: usize,
}

#[derive(Default, Clone, Copy)]
struct Cursors {
    read: u64,
    delivered: u64,
    shown_read: u64,
    shown_delivered: u64,
}

struct Message {
    sender: User,
    name: String,
    /// As it was sent: a retry says the same.
    sent: String,
    /// As it is now; `None` once deleted.
    text: Option<String>,
    is_edited: bool,
    expires: bool,
    reply_to: Option<u64>,
    reactions: BTreeMap<&'static str, Vec<User>>,
    /// Of the events that say what it says.
    saying: Vec<u64>,
    /// Of the last event about it.
    changed: u64,
}

impl World {
    /// Does it, or says why not.
    pub fn act(&mut self, act: &Act) -> Outcome {
        let room = self.rooms.entry(act.id.clone()).or_default();
        room.id.clone_from(&act.id);
        let read_before = room.watermarks.get(act.by).copied();
        let outcome =
            room.act(act).unwrap_or_else(|(status, code)| (status, json!({"code": code})));
        if room.watermarks.get(act.by).copied() != read_before {
            *self.accounts.entry(act.by).or_default() += 1;
        }
        let (version, last) = (room.version, room.last_seq());
        if outcome.0 < 300 {
            let id = act.id.clone();
            match &act.what {
                What::Send { text, .. } => {
                    self.texts.entry(text.clone()).or_insert((id, last));
                }
                What::Edit { seq, text } => drop(self.texts.insert(text.clone(), (id, *seq))),
                What::Create { title, .. } | What::Rename { title: Some(title) }
                    if room.title.as_ref() == Some(title) =>
                {
                    self.titles.entry(title.clone()).or_insert((id, version));
                }
                What::Create { .. }
                | What::Rename { .. }
                | What::Delete { .. }
                | What::React { .. }
                | What::TakeBack { .. }
                | What::Read { .. }
                | What::Delivered { .. }
                | What::Put { .. }
                | What::Remove { .. }
                | What::Timer { .. }
                | What::Block
                | What::Unblock => {}
            }
        }
        outcome
    }

    pub fn exists(&self, id: &str) -> bool {
        self.rooms.get(id).is_some_and(|room| room.version > 0)
    }

    /// Whether everybody has left it.
    pub fn is_deserted(&self, id: &str) -> bool {
        self.rooms.get(id).is_some_and(|room| room.version > 0 && room.members.is_empty())
    }

    /// Whether everybody who is there was there when this message came: to anybody else its edit says
    /// nothing, so that what they hold of it from an earlier stay is not what a fresh fetch gives.
    pub fn is_seen_by_all(&self, id: &str, seq: u64) -> bool {
        let Some(room) = self.rooms.get(id) else { return true };
        seq <= room.last_seq() && room.members.keys().all(|user| room.is_of_this_stay(user, seq))
    }

    /// Whether somebody is in it now.
    pub fn may_act(&self, id: &str, user: &str) -> bool {
        match self.rooms.get(id) {
            Some(room) => room.is_in(user),
            None => id.split('.').any(|part| part == user),
        }
    }

    /// Whether somebody may ever be told this text of a message, or this title.
    pub fn may_read(&self, user: &str, said: &str) -> bool {
        if let Some((id, seq)) = self.texts.get(said) {
            return self.room(id).sees(user, *seq);
        }
        let Some((id, from)) = self.titles.get(said) else { return false };
        // Until the next one.
        let later = self.titles.values().filter(|(other, later)| other == id && later > from);
        let until = later.map(|(_, later)| *later).min().unwrap_or(u64::MAX);
        let stays = self.room(id).stays.get(user);
        stays.into_iter().flatten().any(|stay| stay.versions.0 < until && stay.versions.1 >= *from)
    }

    /// How many messages there are.
    pub fn last_seq(&self, id: &str) -> u64 {
        self.rooms.get(id).map_or(0, Room::last_seq)
    }

    pub fn account_version(&self, user: &str) -> u64 {
        self.accounts.get(user).copied().unwrap_or_default()
    }

    /// The conversations that somebody has in their inbox.
    pub fn inbox(&self, user: &str) -> impl Iterator<Item = &str> {
        let known = move |room: &&Room| room.version > 0 && room.knows(user);
        self.rooms.values().filter(known).map(|room| room.id.as_str())
    }

    /// All groups and channels that were ever asked for.
    pub fn crowds(&self) -> impl Iterator<Item = &str> {
        self.rooms.keys().filter(|id| !id.starts_with('d')).map(String::as_str)
    }

    /// The version of a conversation as somebody sees it.
    pub fn version(&self, id: &str, user: &str) -> u64 {
        self.room(id).seen(user).0
    }

    /// Somebody's own summary, with `members` as on its own route, and no times and ids.
    pub fn summary(&self, id: &str, user: &str) -> Value {
        self.room(id).summary(user)
    }

    /// The messages that somebody may see.
    pub fn history(&self, id: &str, user: &str) -> Vec<Value> {
        let room = self.room(id);
        let seen = (1..=room.last_seq()).filter(|seq| room.sees(user, *seq));
        seen.map(|seq| room.message(seq)).collect()
    }

    /// What somebody is told of who has read a message; `None`: nothing.
    pub fn receipts(&self, id: &str, user: &str, seq: u64) -> Option<Value> {
        self.room(id).receipts(user, seq)
    }

    /// Whether somebody may ever have been told of this conversation.
    pub fn knows(&self, id: &str, user: &str) -> bool {
        self.rooms.get(id).is_some_and(|room| room.knows(user))
    }

    /// Whether somebody may be sent this event.
    pub fn hears(&self, id: &str, user: &str, version: u64) -> bool {
        self.room(id).hears(user, version)
    }

    /// Whether a device may be given the event after this one next: what is between was erased, or is
    /// not for its user.
    pub fn may_skip(&self, id: &str, user: &str, version: u64) -> bool {
        let room = self.room(id);
        room.erased.contains(&version) || !room.hears(user, version)
    }

    /// Of somebody who has left: the messages that have changed since, of which they are not told.
    pub fn changed_since_leaving(&self, id: &str, user: &str) -> Vec<u64> {
        let room = self.room(id);
        let Some(left) = room.left.get(user) else { return Vec::new() };
        let is_changed = |seq: &u64| room.messages[*seq as usize - 1].changed > left.version;
        (1..=left.last_seq).filter(|seq| room.sees(user, *seq) && is_changed(seq)).collect()
    }

    fn room(&self, id: &str) -> &Room {
        &self.rooms[id]
    }
}
