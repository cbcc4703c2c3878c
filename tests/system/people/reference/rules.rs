//! What a conversation allows, to whom, and what comes of it.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Act, Cursors, Left, Member, Message, Outcome, Refused, Role, Room, Stay, User, What};

const NOT_FOUND: Refused = (404, "not_found");
const FORBIDDEN: Refused = (403, "forbidden");
const BLOCKED: Refused = (403, "blocked");
const BEYOND: Refused = (422, "beyond_last_message");
/// For so many versions it is known who has left.
const DEPARTED_VERSIONS: u64 = 1_000;

impl Room {
    pub(super) fn kind(&self) -> &'static str {
        match self.id.split('.').next() {
            Some("d") => "direct",
            Some("g") => "group",
            _ => "channel",
        }
    }

    pub(super) fn is_direct(&self) -> bool {
        self.kind() == "direct"
    }

    pub(super) fn pair(&self) -> impl Iterator<Item = &str> {
        self.id.split('.').skip(1)
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.messages.len() as u64
    }

    pub(super) fn is_in(&self, user: &str) -> bool {
        if self.is_direct() {
            return self.pair().any(|one| one == user);
        }
        self.members.contains_key(user)
    }

    pub(super) fn knows(&self, user: &str) -> bool {
        self.is_in(user) || self.stays.contains_key(user)
    }

    pub(super) fn leads(&self, user: &str) -> bool {
        self.members.get(user).is_some_and(|member| member.role != "member")
    }

    fn owns(&self, user: &str) -> bool {
        self.members.get(user).is_some_and(|member| member.role == "owner")
    }

    pub(super) fn sees(&self, user: &str, seq: u64) -> bool {
        let is_within = |stay: &Stay| (stay.messages.0..=stay.messages.1).contains(&seq);
        (1..=self.last_seq()).contains(&seq)
            && match self.is_direct() {
                true => self.is_in(user),
                false => self.stays.get(user).is_some_and(|stays| stays.iter().any(is_within)),
            }
    }

    /// Whether somebody who is in it now has been there since before this message.
    pub(super) fn is_of_this_stay(&self, user: &str, seq: u64) -> bool {
        let last = self.stays.get(user).and_then(|stays| stays.last());
        self.is_direct()
            || last.is_some_and(|stay| (stay.messages.0..=stay.messages.1).contains(&seq))
    }

    pub(super) fn hears(&self, user: &str, version: u64) -> bool {
        let is_within = |stay: &Stay| (stay.versions.0..=stay.versions.1).contains(&version);
        match self.is_direct() {
            true => self.is_in(user),
            false => self.stays.get(user).is_some_and(|stays| stays.iter().any(is_within)),
        }
    }

    /// Something has happened.
    fn next(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub(super) fn act(&mut self, act: &Act) -> Result<Outcome, Refused> {
        let by = act.by;
        if let What::Create { title, members } = &act.what {
            return self.create(by, title, members);
        }
        if !self.is_in(by) {
            return self.as_stranger(act);
        }
        match &act.what {
            What::Create { .. } => unreachable!(),
            What::Send { name, text, reply_to } => return self.send(by, name, text, *reply_to),
            What::Edit { seq, text } => {
                self.own(by, *seq)?;
                self.edit(*seq, text)?;
            }
            What::Delete { seq } => {
                self.own(by, *seq)?;
                self.delete(*seq);
            }
            What::React { seq, emoji } => self.react(by, *seq, emoji)?,
            What::TakeBack { seq, emoji } => self.take_back(by, *seq, emoji)?,
            What::Read { through } => return self.read(by, *through),
            What::Delivered { through } => return self.delivered(by, *through),
            What::Put { user, role } => self.put(by, user, *role)?,
            What::Remove { user } => self.remove(by, user)?,
            What::Rename { title } => {
                self.require(!self.is_direct() && self.leads(by), FORBIDDEN)?;
                if self.title != *title {
                    self.title.clone_from(title);
                    self.next();
                }
            }
            What::Timer { seconds } => {
                self.require(self.is_direct() || self.leads(by), FORBIDDEN)?;
                if self.timer != *seconds {
                    self.timer = *seconds;
                    self.next();
                }
            }
            What::Block => {
                self.require(self.is_direct(), FORBIDDEN)?;
                if self.blockers.insert(by) {
                    self.next();
                }
            }
            What::Unblock => {
                self.require(self.is_direct(), FORBIDDEN)?;
                if self.blockers.remove(by) {
                    self.next();
                }
            }
        }
        // Who has left learns of nothing that came later.
        let version = self.left.get(by).map_or(self.version, |left| left.version);
        Ok((200, json!({"version": version})))
    }

    fn require(&self, is_so: bool, else_refuse: Refused) -> Result<(), Refused> {
        if is_so { Ok(()) } else { Err(else_refuse) }
    }

    /// What somebody may ask for who is not in it.
    fn as_stranger(&mut self, act: &Act) -> Result<Outcome, Refused> {
        let is_open = self.kind() == "channel" && !self.members.is_empty();
        if let What::Put { user, role: None | Some("member") } = &act.what
            && is_open
            && *user == act.by
        {
            self.add(user, "member");
            return Ok((200, json!({"version": self.version})));
        }
        if let What::Remove { user } = &act.what
            && *user == act.by
            && self.has_just_left(user)
        {
            return Ok((200, json!({"version": self.left[user].version})));
        }
        Err(NOT_FOUND)
    }

    fn has_just_left(&self, user: &str) -> bool {
        let recent = |left: &Left| left.version + DEPARTED_VERSIONS > self.version;
        self.left.get(user).is_some_and(recent)
    }

    fn create(&mut self, by: User, title: &str, members: &[User]) -> Result<Outcome, Refused> {
        let says = json!({"conversationId": self.id});
        if self.version > 0 {
            return if self.is_in(by) { Ok((200, says)) } else { Err(NOT_FOUND) };
        }
        self.next();
        self.title = Some(title.to_owned());
        self.enter(by, "owner");
        for user in members.iter().filter(|user| **user != by) {
            self.enter(user, "member");
        }
        Ok((201, says))
    }

    fn send(
        &mut self,
        by: User,
        name: &str,
        text: &str,
        reply_to: Option<u64>,
    ) -> Result<Outcome, Refused> {
        let is_it = |message: &Message| message.sender == by && message.name == name;
        if let Some(place) = self.messages.iter().position(is_it) {
            let known = &self.messages[place];
            self.require(
                known.text.is_none() || known.sent == text,
                (409, "client_message_id_reused"),
            )?;
            let says = json!({
                "conversationSeq": place + 1, "version": known.saying[0], "duplicate": true,
            });
            return Ok((202, says));
        }
        self.require(self.blockers.is_empty(), BLOCKED)?;
        self.require(self.kind() != "channel" || self.leads(by), FORBIDDEN)?;
        let exists = |seq: u64| (1..=self.last_seq()).contains(&seq);
        self.require(reply_to.is_none_or(exists), BEYOND)?;
        let version = self.next();
        self.messages.push(Message {
            sender: by,
            name: name.to_owned(),
            sent: text.to_owned(),
            text: Some(text.to_owned()),
            is_edited: false,
            expires: self.timer > 0,
            reply_to,
            reactions: BTreeMap::new(),
            saying: vec![version],
            changed: version,
        });
        let seq = self.last_seq();
        self.raise(by, seq, seq, false);
        Ok((202, json!({"conversationSeq": seq, "version": version, "duplicate": null})))
    }

    /// The message is there for this person: their own, and those since they came.
    fn reach(&self, by: User, seq: u64) -> Result<(), Refused> {
        self.require(seq <= self.last_seq(), NOT_FOUND)?;
        let message = &self.messages[seq as usize - 1];
        let since = self.members.get(by).map_or(0, |member| member.since);
        self.require(message.sender == by || message.saying[0] > since, NOT_FOUND)
    }

    /// The same, and they have sent it.
    fn own(&self, by: User, seq: u64) -> Result<(), Refused> {
        self.reach(by, seq)?;
        self.require(self.messages[seq as usize - 1].sender == by, (403, "not_sender"))
    }

    fn edit(&mut self, seq: u64, text: &str) -> Result<(), Refused> {
        let message = &self.messages[seq as usize - 1];
        self.require(message.text.is_some(), (409, "too_late"))?;
        if message.text.as_deref() != Some(text) {
            self.require(self.blockers.is_empty(), BLOCKED)?;
            let version = self.next();
            let message = &mut self.messages[seq as usize - 1];
            message.text = Some(text.to_owned());
            message.is_edited = true;
            message.saying.push(version);
            message.changed = version;
        }
        Ok(())
    }

    fn delete(&mut self, seq: u64) {
        if self.messages[seq as usize - 1].text.is_none() {
            return;
        }
        let version = self.next();
        let message = &mut self.messages[seq as usize - 1];
        message.text = None;
        message.is_edited = false;
        message.reactions.clear();
        message.changed = version;
        self.erased.extend(&message.saying);
    }

    fn react(&mut self, by: User, seq: u64, emoji: &'static str) -> Result<(), Refused> {
        self.reach(by, seq)?;
        let message = &self.messages[seq as usize - 1];
        self.require(message.text.is_some(), (409, "too_late"))?;
        if !message.reactions.get(emoji).is_some_and(|users| users.contains(&by)) {
            self.require(self.blockers.is_empty(), BLOCKED)?;
            let version = self.next();
            let message = &mut self.messages[seq as usize - 1];
            message.reactions.entry(emoji).or_default().push(by);
            message.changed = version;
        }
        Ok(())
    }

    fn take_back(&mut self, by: User, seq: u64, emoji: &str) -> Result<(), Refused> {
        self.reach(by, seq)?;
        let message = &mut self.messages[seq as usize - 1];
        let Some(users) = message.reactions.get_mut(emoji) else { return Ok(()) };
        if let Some(place) = users.iter().position(|user| *user == by) {
            users.remove(place);
            message.reactions.retain(|_, users| !users.is_empty());
            message.changed = self.version + 1;
            self.next();
        }
        Ok(())
    }

    fn read(&mut self, by: User, through: u64) -> Result<Outcome, Refused> {
        self.require(through <= self.last_seq(), BEYOND)?;
        if self.kind() == "channel" {
            let watermark = self.watermarks.get(by).copied().unwrap_or_default().max(through);
            if watermark > 0 {
                self.watermarks.insert(by, watermark);
            }
            return Ok((200, json!({"readSeq": watermark})));
        }
        if through > self.cursors_of(by).read {
            self.next();
            self.raise(by, through, through, !self.blockers.is_empty());
        }
        Ok((200, json!({"readSeq": self.cursors_of(by).read})))
    }

    fn delivered(&mut self, by: User, through: u64) -> Result<Outcome, Refused> {
        self.require(through <= self.last_seq(), BEYOND)?;
        if self.kind() == "channel" {
            return Ok((200, json!({"deliveredSeq": through})));
        }
        if through > self.cursors_of(by).delivered {
            self.next();
            self.raise(by, 0, through, !self.blockers.is_empty());
        }
        Ok((200, json!({"deliveredSeq": self.cursors_of(by).delivered})))
    }

    pub(super) fn cursors_of(&self, user: &str) -> Cursors {
        self.cursors.get(user).copied().unwrap_or_default()
    }

    fn raise(&mut self, user: User, read: u64, delivered: u64, hidden: bool) {
        let cursors = self.cursors.entry(user).or_default();
        cursors.read = cursors.read.max(read);
        cursors.delivered = cursors.delivered.max(delivered);
        if !hidden {
            cursors.shown_read = cursors.shown_read.max(read);
            cursors.shown_delivered = cursors.shown_delivered.max(delivered);
        }
    }

    fn put(&mut self, by: User, user: User, role: Option<Role>) -> Result<(), Refused> {
        self.require(!self.is_direct(), FORBIDDEN)?;
        let Some(known) = self.members.get(user).map(|member| member.role) else {
            self.require(self.leads(by), FORBIDDEN)?;
            self.require(role != Some("owner"), (422, "invalid_body"))?;
            self.require(role != Some("admin") || self.owns(by), FORBIDDEN)?;
            self.add(user, role.unwrap_or("member"));
            return Ok(());
        };
        let role = role.unwrap_or(known);
        if role == known {
            return Ok(());
        }
        self.require(self.owns(by) && user != by, FORBIDDEN)?;
        if role == "owner" {
            self.set_role(by, "admin");
        }
        self.set_role(user, role);
        self.next();
        Ok(())
    }

    fn set_role(&mut self, user: User, role: Role) {
        if let Some(member) = self.members.get_mut(user) {
            member.role = role;
        }
    }

    fn add(&mut self, user: User, role: Role) {
        self.next();
        self.enter(user, role);
        let last = self.last_seq();
        self.raise(user, last, last, false);
    }

    fn enter(&mut self, user: User, role: Role) {
        self.members.insert(user, Member { role, since: self.version });
        self.left.remove(user);
        let stay =
            Stay { versions: (self.version, u64::MAX), messages: (self.last_seq() + 1, u64::MAX) };
        self.stays.entry(user).or_default().push(stay);
    }

    fn remove(&mut self, by: User, user: User) -> Result<(), Refused> {
        self.require(!self.is_direct(), FORBIDDEN)?;
        if user != by {
            self.require(self.leads(by), FORBIDDEN)?;
            let Some(member) = self.members.get(user) else {
                return self.require(self.has_just_left(user), (404, "not_member"));
            };
            self.require(self.owns(by) || member.role == "member", FORBIDDEN)?;
        }
        let owned = self.owns(user);
        self.members.remove(user);
        // The longest-standing admin, else the longest-standing member.
        let heir = self
            .members
            .iter()
            .min_by_key(|(user, member)| (member.role == "member", member.since, **user))
            .map(|(user, _)| *user);
        if let Some(heir) = heir.filter(|_| owned) {
            self.set_role(heir, "owner");
        }
        let (version, last_seq) = (self.next(), self.last_seq());
        if let Some(stay) = self.stays.get_mut(user).and_then(|stays| stays.last_mut()) {
            stay.versions.1 = version;
            stay.messages.1 = last_seq;
        }
        let (title, count) = (self.title.clone(), self.members.len());
        self.left.insert(user, Left { version, last_seq, title, count });
        Ok(())
    }
}
