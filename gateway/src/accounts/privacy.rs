//! Who shows what to whom, as far as it is known; pure.
//!
//! What comes from an event carries its version, so that views which are behind take nothing back.

use std::num::NonZeroUsize;

use lru::LruCache;
use parley_domain::{AccountEvent, UserId, account::Visibility};
use parley_projections::queries::ShownTo;

/// Somebody, and another who may want to know whether they are online.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pair {
    pub shown: UserId,
    pub to: UserId,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Privacy {
    /// With the version that said so.
    settings: LruCache<UserId, (u64, Shows)>,
    /// Whether the other is a contact of the shown one, with the version that said so. Asked only
    /// of those who show themselves to their contacts.
    contacts: LruCache<Pair, (u64, bool)>,
}

#[derive(Debug, Clone, Copy)]
struct Shows {
    receipts: bool,
    presence: Visibility,
}

impl Privacy {
    pub fn new(entries: NonZeroUsize) -> Self {
        Self { settings: LruCache::new(entries), contacts: LruCache::new(entries) }
    }

    /// Whether the event may change who sees this person.
    pub fn observe(&mut self, user: &UserId, version: u64, event: &AccountEvent) -> bool {
        match event {
            AccountEvent::PreferencesSet(settings) => {
                let shows = Shows {
                    receipts: settings.read_receipts,
                    presence: settings.presence_visibility,
                };
                self.set(user, version, shows);
                true
            }
            AccountEvent::ContactAdded(contact) => {
                let pair = Pair { shown: user.clone(), to: contact.user_id.clone() };
                self.contact(pair, version, true);
                true
            }
            AccountEvent::ContactRemoved(contact) => {
                let pair = Pair { shown: user.clone(), to: contact.user_id.clone() };
                self.contact(pair, version, false);
                true
            }
            AccountEvent::DeviceRegistered(_)
            | AccountEvent::DeviceUnlinked(_)
            | AccountEvent::ConversationMuted(_)
            | AccountEvent::ConversationUnmuted(_)
            | AccountEvent::ConversationPinned(_)
            | AccountEvent::ConversationUnpinned(_)
            | AccountEvent::ConversationArchived(_)
            | AccountEvent::ConversationUnarchived(_)
            | AccountEvent::DraftSaved(_)
            | AccountEvent::DraftCleared(_)
            | AccountEvent::EndpointAdded(_)
            | AccountEvent::EndpointRemoved(_)
            | AccountEvent::ChannelRead(_) => false,
        }
    }

    /// Takes what the views say.
    pub fn learn(&mut self, pair: &Pair, found: &ShownTo) {
        let shows = Shows { receipts: found.read_receipts, presence: found.visibility };
        self.set(&pair.shown, found.version, shows);
        if found.visibility == Visibility::Contacts {
            self.contact(pair.clone(), found.version, found.is_contact);
        }
    }

    fn set(&mut self, user: &UserId, version: u64, shows: Shows) {
        let known = self.settings.get_or_insert_mut(user.clone(), || (version, shows));
        if known.0 < version {
            *known = (version, shows);
        }
    }

    fn contact(&mut self, pair: Pair, version: u64, is_contact: bool) {
        let known = self.contacts.get_or_insert_mut(pair, || (version, is_contact));
        if known.0 < version {
            *known = (version, is_contact);
        }
    }

    pub fn allows(&mut self, pair: &Pair) -> Option<bool> {
        // One's own devices may see each other.
        if pair.shown == pair.to {
            return Some(true);
        }
        let (_, shows) = self.settings.get(&pair.shown)?;
        match shows.presence {
            Visibility::Everyone => Some(true),
            Visibility::Nobody => Some(false),
            Visibility::Contacts => self.contacts.get(pair).map(|(_, is_contact)| *is_contact),
        }
    }

    pub fn shows_receipts(&mut self, user: &UserId) -> Option<bool> {
        self.settings.get(user).map(|(_, shows)| shows.receipts)
    }
}

#[cfg(test)]
mod tests {
    use parley_domain::{account::Settings, event::ContactChanged};

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn pair() -> Pair {
        Pair { shown: user("ann"), to: user("bob") }
    }

    fn privacy() -> Privacy {
        Privacy::new(NonZeroUsize::new(2).unwrap())
    }

    fn set(presence_visibility: Visibility, read_receipts: bool) -> AccountEvent {
        let settings = Settings { presence_visibility, read_receipts, ..Settings::default() };
        AccountEvent::PreferencesSet(settings)
    }

    fn views(version: u64, visibility: Visibility, is_contact: bool) -> ShownTo {
        ShownTo { version, checkpoint: 0, visibility, read_receipts: true, is_contact }
    }

    #[test]
    fn what_is_not_known_is_asked_and_what_one_sets_counts_at_once() {
        let mut privacy = privacy();
        assert_eq!((privacy.allows(&pair()), privacy.shows_receipts(&user("ann"))), (None, None));
        privacy.learn(&pair(), &views(3, Visibility::Everyone, false));
        assert_eq!(privacy.allows(&pair()), Some(true));
        assert!(privacy.observe(&user("ann"), 4, &set(Visibility::Nobody, false)));
        assert_eq!(privacy.allows(&pair()), Some(false));
        assert_eq!(privacy.shows_receipts(&user("ann")), Some(false));
        // Views that are behind.
        privacy.learn(&pair(), &views(3, Visibility::Everyone, false));
        assert_eq!(privacy.allows(&pair()), Some(false));
        let own = Pair { shown: user("ann"), to: user("ann") };
        assert_eq!(privacy.allows(&own), Some(true));
    }

    #[test]
    fn contacts_are_those_of_the_one_who_is_shown() {
        let mut privacy = privacy();
        privacy.observe(&user("ann"), 1, &set(Visibility::Contacts, true));
        assert_eq!(privacy.allows(&pair()), None);
        privacy.learn(&pair(), &views(1, Visibility::Contacts, false));
        assert_eq!(privacy.allows(&pair()), Some(false));
        let bob = ContactChanged { user_id: user("bob") };
        privacy.observe(&user("ann"), 2, &AccountEvent::ContactAdded(bob.clone()));
        assert_eq!(privacy.allows(&pair()), Some(true));
        privacy.observe(&user("ann"), 3, &AccountEvent::ContactRemoved(bob.clone()));
        assert_eq!(privacy.allows(&pair()), Some(false));
        // That bob has her for one says nothing of her.
        privacy.observe(&user("bob"), 1, &AccountEvent::ContactAdded(bob));
        assert_eq!(privacy.allows(&pair()), Some(false));
    }
}
