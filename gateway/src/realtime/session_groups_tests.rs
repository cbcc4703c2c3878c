//! What a session does with groups, and with who types where.

use parley_domain::ConversationId;

use super::*;
use crate::realtime::hub::Loaded;

const GROUP: &str = "g.00000000-0000-0000-0000-000000000001";

impl Rig {
    /// An event of the group, of which the members are known from the first one on.
    fn group(&mut self, position: u64, version: u64, kind: &str, user: &str) {
        let subject = format!("dm.evt.0.{GROUP}");
        let payload = json!({"version": version, "type": kind, "data":
            {"userId": user, "role": "member", "lastSeq": 0, "memberCount": 2}});
        let payload = payload.to_string();
        let logged = Logged { position, subject: &subject, payload: payload.as_bytes() };
        let read = self.hub.read(0, [logged]);
        let loaded = self.hub.unknown(&read).into_iter();
        let loaded =
            loaded.map(|unknown| Loaded { group: unknown.group, members: vec![("bob".into(), 0)] });
        let loaded = loaded.collect();
        self.hub.push(read, loaded);
    }

    fn typing(&mut self, conversation: &str) -> Option<String> {
        let said = self.say(&json!({"type":"typing","conversationId":conversation,"typing":true}));
        said.first().map(|error| error["code"].as_str().unwrap().to_owned())
    }
}

fn versions(frames: &[Value]) -> Vec<u64> {
    frames.iter().filter_map(|frame| frame["event"]["version"].as_u64()).collect()
}

/// Up to the request for the page that shows the group.
fn came_in() -> Rig {
    let mut rig = Rig::open();
    rig.group(11, 5, "message.sent", "bob");
    rig.push(12, "alice.bob");
    rig.group(13, 6, "member.added", "alice");
    rig.group(14, 7, "message.sent", "bob");
    assert_eq!(versions(&rig.feed()), [12], "nothing of what was before, and the group not yet");
    let request = rig.session.next_page().unwrap();
    assert_eq!(request.since.as_deref(), Some(&[12][..]));
    rig
}

#[test]
fn who_comes_into_a_group_is_shown_it_before_its_events() {
    let mut rig = came_in();
    // The views are behind: a page without the group does not count.
    assert_eq!(types(&rig.input(Input::Page(&page(12, None)))), [""; 0]);
    assert!(rig.session.next_page().unwrap().lagging && rig.feed().is_empty());
    rig.group(15, 8, "message.sent", "bob");
    let said = rig.input(Input::Page(&page(14, None)));
    assert_eq!(types(&said), ["caughtUp"]);
    // The event itself is given too; what the page had already is known by its version.
    assert_eq!(versions(&rig.feed()), [6, 7, 8]);
    rig.group(16, 9, "member.removed", "alice");
    rig.group(17, 10, "message.sent", "bob");
    assert_eq!(versions(&rig.feed()), [9]);
    assert_eq!(rig.session.next_page(), None);
}

#[test]
fn without_the_views_live_events_do_not_wait_for_long() {
    let mut rig = came_in();
    assert!(rig.pass(1).is_empty());
    assert!(rig.feed().is_empty());
    rig.pass(1);
    assert_eq!(versions(&rig.feed()), [6, 7]);
    rig.push(15, "alice.bob");
    assert_eq!(versions(&rig.feed()), [15]);
    // It comes when it can.
    let shown = Page { is_empty: false, ..page(14, None) };
    let said = rig.input(Input::Page(&shown));
    assert_eq!(types(&said), ["sync", "caughtUp"]);
    assert_eq!(versions(&rig.feed()), [6, 7, 15]);
}

#[test]
fn typing_goes_to_conversations_of_ones_own_only() {
    let mut rig = Rig::open();
    assert_eq!(rig.typing("d.bob.carol").as_deref(), Some("not_found"));
    assert_eq!(rig.out.next_effect(), None);
    // Whether one of the two blocks the other is not known yet: the effect waits for that.
    for _ in 0..2 {
        assert_eq!(rig.typing("d.alice.bob"), None);
        assert!(matches!(rig.out.next_effect(), Some(Effect::Typing { typing: true, .. })));
        rig.hub.onlookers().talked("d.alice.bob", ["alice", "bob"], true);
    }
    rig.hub.onlookers().blocking("d.alice.bob", ["alice", "bob"], true, (0, 12));
    assert_eq!((rig.typing("d.alice.bob"), rig.out.next_effect()), (None, None));
}

#[test]
fn typing_in_a_group_goes_to_its_members_who_are_here() {
    let mut rig = Rig::open();
    let (alice, bob) = (UserId::parse("alice").unwrap(), UserId::parse("bob").unwrap());
    let group = ConversationId::parse(GROUP).unwrap();
    rig.feed();
    rig.group(11, 5, "message.sent", "bob");
    assert_eq!(rig.typing(GROUP).as_deref(), Some("not_found"));
    let whisper = |rig: &Rig, by: &UserId| {
        rig.hub.pass_typing(&group, by, || protocol::typing(&group, by, true));
    };
    whisper(&rig, &bob);
    assert!(rig.feed().is_empty());
    rig.group(12, 6, "member.added", "alice");
    rig.feed();
    rig.session.next_page().unwrap();
    rig.input(Input::Page(&page(12, None)));
    assert_eq!(types(&rig.feed()), ["event"]);
    assert_eq!(rig.typing(GROUP), None);
    assert!(matches!(rig.out.next_effect(), Some(Effect::Typing { .. })));
    for (by, told) in [(&bob, 1), (&alice, 0), (&UserId::parse("eve").unwrap(), 0)] {
        whisper(&rig, by);
        assert_eq!(rig.feed().len(), told, "{by}");
    }
    let channel = GROUP.replace("g.", "c.");
    assert_eq!((rig.typing(&channel), rig.out.next_effect()), (None, None));
}
