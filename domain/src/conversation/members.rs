//! Who is in a group or channel, and who has just left it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{event::Role, ids::UserId};

/// The most people in a group.
pub const MAX_GROUP_MEMBERS: usize = 500;
/// For how many events of the conversation somebody who left is remembered, so that leaving (or
/// removing) again, by a retry, is known from there having been no such member.
pub const DEPARTED_VERSIONS: u64 = 1_000;

/// A member's part in the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub role: Role,
    /// Version of the event that made them a member.
    pub since: u64,
}

/// Empty for a direct conversation, whose id is its members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Members {
    present: BTreeMap<UserId, Membership>,
    /// With the version of their leaving, ascending; nobody who came back since.
    departed: VecDeque<(UserId, u64)>,
}

impl Members {
    /// From what is stored of them; `departed` of the last [`DEPARTED_VERSIONS`] before `version`.
    pub fn load(
        present: impl IntoIterator<Item = (UserId, Membership)>,
        departed: impl IntoIterator<Item = (UserId, u64)>,
        version: u64,
    ) -> Self {
        let mut departed: Vec<_> = departed.into_iter().collect();
        departed.sort_by_key(|(_, left)| *left);
        let mut members =
            Self { present: present.into_iter().collect(), departed: departed.into() };
        members.forget(version);
        members
    }

    pub fn get(&self, user: &UserId) -> Option<Membership> {
        self.present.get(user).copied()
    }

    pub fn role(&self, user: &UserId) -> Option<Role> {
        self.get(user).map(|membership| membership.role)
    }

    pub fn contains(&self, user: &UserId) -> bool {
        self.present.contains_key(user)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&UserId, Membership)> {
        self.present.iter().map(|(user, membership)| (user, *membership))
    }

    pub fn len(&self) -> usize {
        self.present.len()
    }

    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// The version at which this person left, if that is not long ago.
    pub fn departed(&self, user: &UserId) -> Option<u64> {
        self.departed.iter().find(|(gone, _)| gone == user).map(|(_, version)| *version)
    }

    /// Who owns the conversation once its owner has left: of the admins, else of all, the one who
    /// has been there the longest; of those who came at once, the first in byte order.
    pub(super) fn heir(&self, owner: &UserId) -> Option<&UserId> {
        let others = self.iter().filter(|(user, _)| *user != owner);
        let heir =
            others.min_by_key(|(_, membership)| (!membership.role.leads(), membership.since));
        heir.map(|(user, _)| user)
    }

    pub(super) fn add(&mut self, user: &UserId, role: Role, version: u64) {
        self.departed.retain(|(gone, _)| gone != user);
        self.present.insert(user.clone(), Membership { role, since: version });
    }

    pub(super) fn remove(&mut self, user: &UserId, version: u64) {
        if self.present.remove(user).is_some() {
            self.departed.push_back((user.clone(), version));
        }
    }

    pub(super) fn set_role(&mut self, user: &UserId, role: Role) {
        if let Some(membership) = self.present.get_mut(user) {
            membership.role = role;
        }
    }

    /// Lets go of those who left long before `version`.
    pub(super) fn forget(&mut self, version: u64) {
        while let Some((_, left)) = self.departed.front()
            && left.saturating_add(DEPARTED_VERSIONS) <= version
        {
            self.departed.pop_front();
        }
    }

    /// About how much memory this takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        // A tree's nodes are not quite full; long ids have an allocation of their own, which few do.
        let one = size_of::<(UserId, Membership)>() * 3 / 2;
        self.present.len() * one + self.departed.capacity() * size_of::<(UserId, u64)>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::user;
    use super::*;

    #[test]
    fn the_longest_standing_admin_inherits_else_the_longest_standing_member() {
        let mut members = Members::default();
        members.add(&user("olga"), Role::Owner, 1);
        assert_eq!(members.heir(&user("olga")), None);
        members.add(&user("zoe"), Role::Member, 1);
        members.add(&user("bob"), Role::Member, 1);
        members.add(&user("ann"), Role::Member, 3);
        assert_eq!(members.heir(&user("olga")), Some(&user("bob")));
        members.add(&user("max"), Role::Admin, 4);
        members.add(&user("amy"), Role::Admin, 5);
        assert_eq!(members.heir(&user("olga")), Some(&user("max")));
    }

    #[test]
    fn who_left_is_remembered_for_a_while() {
        let mut members = Members::default();
        for (name, version) in [("ann", 2), ("bob", 3)] {
            members.add(&user(name), Role::Member, 1);
            members.remove(&user(name), version);
        }
        assert_eq!(members.departed(&user("ann")), Some(2));
        members.forget(1_001);
        assert_eq!(members.departed(&user("ann")), Some(2));
        members.forget(1_002);
        assert_eq!(members.departed(&user("ann")), None);
        members.add(&user("bob"), Role::Member, 1_003);
        assert_eq!(members.departed(&user("bob")), None);
        let present = members.iter().map(|(user, membership)| (user.clone(), membership));
        assert_eq!(Members::load(present, [(user("ann"), 2)], 1_003), members);
    }
}
