//! What happens in a run: a seed's choice of things that people ask for, most of them possible.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::reference::{Act, User, What, World};

pub const USERS: [User; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// Two groups and a channel at a time; in the beginning they do not exist.
const KINDS: [char; 3] = ['g', 'g', 'c'];
const EMOJI: [&str; 3] = ["👍", "❤️", "😂"];

/// A seed's dice.
pub struct Plan {
    pub dice: StdRng,
    /// How many texts and titles there have been: each is unlike any other.
    said: usize,
    /// The last messages that were sent, to be sent again.
    sent: Vec<Act>,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        Self { dice: StdRng::seed_from_u64(seed), said: 0, sent: Vec::new() }
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.dice.random_range(0..100) < percent
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.dice.random_range(0..bound)
    }

    pub fn user(&mut self) -> User {
        USERS[self.dice.random_range(0..USERS.len())]
    }

    /// Something that is found again wherever it appears, and nowhere else.
    fn unique(&mut self, what: &str) -> String {
        self.said += 1;
        format!("~{what}{}~", self.said)
    }

    /// What somebody asks for next.
    pub fn next(&mut self, world: &World) -> Act {
        if self.chance(6)
            && let Some(again) = self.sent.choose(&mut self.dice)
        {
            let mut again = again.clone();
            if self.dice.random_range(0..4) == 0
                && let What::Send { text, .. } = &mut again.what
            {
                *text = self.unique("t");
            }
            return again;
        }
        let (by, id) = (self.user(), self.conversation(world));
        let by = self.somebody_in(world, &id, by);
        let is_direct = id.starts_with('d');
        let last = world.last_seq(&id);
        // Mostly one of the last messages that there are, and now and then one that is not.
        let seq = match self.chance(5) {
            true => last + 1,
            false => last.saturating_sub(self.below(6)).max(1),
        };
        let other = self.user();
        let is_new = !is_direct && !world.exists(&id) && self.chance(80);
        let what = match self.below(if is_direct { 64 } else { 100 }) {
            _ if is_new => self.creation(),
            0..26 => {
                let reply_to = self.chance(20).then_some(seq);
                let text = self.unique("t");
                What::Send { name: text.replace('~', ""), text, reply_to }
            }
            26..32 if world.is_seen_by_all(&id, seq) => What::Edit { seq, text: self.unique("t") },
            26..32 => What::Read { through: seq },
            32..36 => What::Delete { seq },
            36..42 => What::React { seq, emoji: self.emoji() },
            42..46 => What::TakeBack { seq, emoji: self.emoji() },
            46..52 => What::Read { through: seq },
            52..56 => What::Delivered { through: seq },
            56..58 => What::Timer { seconds: [0, 86_400, 604_800][self.below(3) as usize] },
            58..60 => What::Block,
            60..64 => What::Unblock,
            64..76 => {
                let role = [None, None, Some("member"), Some("admin"), Some("owner")];
                What::Put { user: other, role: role[self.below(5) as usize] }
            }
            76..80 => What::Put { user: by, role: None },
            80..86 => What::Remove { user: other },
            86..90 => What::Remove { user: by },
            90..94 => What::Rename { title: self.chance(75).then(|| self.unique("n")) },
            _ => self.creation(),
        };
        let act = Act { by, id, what };
        if matches!(act.what, What::Send { .. }) {
            self.sent.push(act.clone());
        }
        act
    }

    fn creation(&mut self) -> What {
        let members = USERS.into_iter().filter(|_| self.dice.random_range(0..2) == 0);
        What::Create { members: members.collect(), title: self.unique("n") }
    }

    fn emoji(&mut self) -> &'static str {
        EMOJI[self.dice.random_range(0..EMOJI.len())]
    }

    fn conversation(&mut self, world: &World) -> String {
        if self.chance(65) {
            let place = self.dice.random_range(0..KINDS.len());
            let id =
                |n: usize| format!("{}.0193e5a0-7b1c-7def-8123-{place:04}{n:08}", KINDS[place]);
            // In the place of one that everybody has left, another one begins.
            return (0..).map(id).find(|id| !world.is_deserted(id)).unwrap();
        }
        let one = self.dice.random_range(0..USERS.len() - 1);
        let other = self.dice.random_range(one + 1..USERS.len());
        format!("d.{}.{}", USERS[one], USERS[other])
    }

    /// Mostly one of those who are there, who can do more.
    fn somebody_in(&mut self, world: &World, id: &str, by: User) -> User {
        if world.may_act(id, by) || self.chance(10) {
            return by;
        }
        let present: Vec<User> = USERS.into_iter().filter(|user| world.may_act(id, user)).collect();
        present.choose(&mut self.dice).copied().unwrap_or(by)
    }
}
