use super::*;

fn changed(members: &mut Members, position: u64, change: Change) -> Recipients {
    members.apply("g.1", (position, position), Some(&change), |user| user != "away")
}

fn spans(members: &Members, user: &str) -> Vec<(u64, u64)> {
    members.stretches(user).map(|stretch| (stretch.from, stretch.until)).collect()
}

fn names(recipients: &Recipients) -> Vec<&str> {
    let mut names: Vec<&str> = recipients.users.iter().map(SmolStr::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_membership_reaches_from_the_event_that_began_it_to_the_one_that_ended_it() {
    let mut members = Members::default();
    members.insert("g.1", [], |_| true);
    let created = Change::Created(["a", "b", "away"].map(SmolStr::new).to_vec());
    assert_eq!(names(&changed(&mut members, 10, created)), ["a", "b"]);
    assert_eq!(spans(&members, "a"), [(0, u64::MAX)]);

    let joined = changed(&mut members, 12, Change::Joined("c".into()));
    assert_eq!((names(&joined), joined.joined.as_deref()), (vec!["a", "b", "c"], Some("c")));
    let again = changed(&mut members, 13, Change::Joined("c".into()));
    assert_eq!(again.joined, None);
    assert_eq!(spans(&members, "c"), [(12, u64::MAX)]);

    let left = changed(&mut members, 14, Change::Left("c".into()));
    assert_eq!(names(&left), ["a", "b", "c"], "who leaves is told so");
    assert_eq!(names(&members.apply("g.1", (15, 15), None, |_| true)), ["a", "b"]);
    changed(&mut members, 16, Change::Joined("c".into()));
    assert_eq!(spans(&members, "c"), [(12, 14), (16, u64::MAX)]);
    members.forget_ended(13);
    assert_eq!(spans(&members, "c").len(), 2);
    members.forget_ended(14);
    assert_eq!(spans(&members, "c"), [(16, u64::MAX)]);
    assert_eq!(members.is_member("g.1", "c"), Some(true));
    assert_eq!(members.is_member("g.2", "c"), None);
}

#[test]
fn those_who_come_and_go_are_found_by_their_groups() {
    let mut members = Members::default();
    members.insert("g.1", ["a", "b"].map(|name| (SmolStr::new(name), 0)), |_| false);
    assert_eq!(names(&members.apply("g.1", (1, 1), None, |_| false)), [""; 0]);
    members.arrived("b");
    members.arrived("nobody");
    let held = members.apply("g.1", (2, 2), None, |_| false);
    members.gone("b");
    assert_eq!(names(&members.apply("g.1", (3, 3), None, |_| false)), [""; 0]);
    // What is being delivered is not changed under way.
    assert_eq!(names(&held), ["b"]);
    changed(&mut members, 4, Change::Left("b".into()));
    members.arrived("b");
    assert_eq!(names(&members.apply("g.1", (5, 5), None, |_| false)), [""; 0]);
}

#[test]
fn what_is_let_go_leaves_nothing_behind() {
    let mut members = Members::default();
    members.insert("g.1", ["a", "b"].map(|name| (SmolStr::new(name), 0)), |_| true);
    members.insert("g.2", ["b"].map(|name| (SmolStr::new(name), 0)), |_| true);
    assert_eq!(members.oldest(), Some(0));
    members.apply("g.2", (3, 3), None, |_| true);
    changed(&mut members, 4, Change::Left("a".into()));
    changed(&mut members, 5, Change::Joined("a".into()));
    assert_eq!(members.oldest(), Some(3));
    members.evict_oldest();
    assert!(!members.knows("g.2") && members.knows("g.1"));
    assert_eq!(spans(&members, "b").len(), 1);
    members.evict_oldest();
    assert_eq!((members.bytes(), members.groups.len(), members.people.len()), (0, 0, 0));
    assert!(members.ended.is_empty() && members.order.is_empty());
}
