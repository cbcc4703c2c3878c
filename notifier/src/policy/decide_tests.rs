use std::time::Duration;

use serde_json::json;

use super::*;

const NOON: i64 = 1_795_262_400_000;

fn policy() -> Policy {
    Policy {
        grace: Duration::from_secs(30),
        cooldown: Duration::from_secs(900),
        cooldown_max: Duration::from_secs(3_600),
        emails_per_hour: 20,
        sms_per_hour: 5,
    }
}

/// So many seconds after noon, UTC.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(NOON + seconds * 1_000)
}

fn target(channel: ChannelKind) -> Target {
    Target { channel, endpoint_id: format!("e-{}", channel.as_str()) }
}

fn capped(channel: ChannelKind) -> Capped {
    Capped { channel, until: at(99) }
}

/// Twenty messages wait for somebody who is away and has an email address and a telephone.
fn facts() -> Facts {
    Facts {
        trigger: Trigger::Open,
        thread_id: "bob d.alice.bob".to_owned(),
        conversation: Some(ConversationId::parse("d.alice.bob").unwrap()),
        standing: Standing {
            last_seq: 20,
            last_at: Some(at(0)),
            unread: 20,
            ..Standing::default()
        },
        online: false,
        settings: Settings::default(),
        endpoints: vec![target(ChannelKind::Email), target(ChannelKind::Sms)],
        full: Vec::new(),
    }
}

fn decide(thread: &mut NotificationThread, facts: &Facts, seconds: i64) -> Decision {
    let decision = thread.decide(facts, &policy(), at(seconds));
    if let Decision::Event(event) = &decision {
        thread.evolve(event.clone());
    }
    decision
}

fn told(decision: Decision) -> Told {
    let Decision::Event(ThreadEvent::Told(told)) = decision else { panic!("{decision:?}") };
    told
}

fn reason(decision: Decision) -> Reason {
    let Decision::Event(ThreadEvent::Skipped { reason, .. }) = decision else {
        panic!("{decision:?}")
    };
    reason
}

#[test]
fn twenty_messages_are_told_once_on_each_channel() {
    let mut thread = NotificationThread::default();
    let first = told(decide(&mut thread, &facts(), 30));
    assert_eq!((first.first_seq, first.through_seq, first.messages), (1, 20, 20));
    assert_eq!(first.targets, facts().endpoints);
    assert_eq!(first.cooldown_seconds, 900);
    assert_eq!(first.notification_id, notification_id("bob d.alice.bob", 1));
    // However often it is asked again.
    assert_eq!(decide(&mut thread, &facts(), 30), Decision::Known);
    assert_eq!(decide(&mut thread, &facts(), 5_000), Decision::Known);
}

#[test]
fn a_cool_down_doubles_up_to_a_bound_until_they_read() {
    let mut thread = NotificationThread::default();
    let mut now = 30;
    for (round, cooldown) in [900, 1_800, 3_600, 3_600].into_iter().enumerate() {
        let last_seq = 20 + round as u64;
        let waiting = Facts {
            standing: Standing { last_seq, unread: last_seq, ..facts().standing },
            ..facts()
        };
        let digest = told(decide(&mut thread, &waiting, now));
        assert_eq!(digest.cooldown_seconds, cooldown);
        let more =
            Facts { standing: Standing { last_seq: last_seq + 1, ..waiting.standing }, ..waiting };
        let end = now + i64::try_from(cooldown).unwrap();
        let until = Decision::Wait(Wait::Cooling(at(end)));
        assert_eq!(decide(&mut thread, &more, end - 1), until);
        now = end;
    }
    // Having read, they are told after the grace, and the cool-down is the first one again.
    let read = Facts {
        standing: Standing { last_seq: 40, read_seq: 39, unread: 1, ..facts().standing },
        ..facts()
    };
    let digest = told(decide(&mut thread, &read, now + 30));
    assert_eq!((digest.first_seq, digest.messages, digest.cooldown_seconds), (40, 1, 900));
}

#[test]
fn what_comes_at_the_end_of_a_cool_down_has_its_grace() {
    let mut thread = NotificationThread::default();
    decide(&mut thread, &facts(), 30);
    let ended = Facts { trigger: Trigger::Cooling, ..facts() };
    assert_eq!(decide(&mut thread, &ended, 930), Decision::Known);
    let late = Facts {
        standing: Standing { last_seq: 21, unread: 21, last_at: Some(at(920)), ..ended.standing },
        ..ended
    };
    assert_eq!(decide(&mut thread, &late, 930), Decision::Wait(Wait::Grace(at(950))));
    let digest = told(decide(&mut thread, &late, 950));
    assert_eq!((digest.first_seq, digest.messages), (21, 21));
}

#[test]
fn each_reason_against_is_named() {
    let off = json!({"notifications": {"email": false, "sms": false}});
    let not_this = json!({"notifications": {"conversations": {"d.alice.bob": {"email": false, "sms": false}}}});
    let both = vec![capped(ChannelKind::Email), capped(ChannelKind::Sms)];
    let cases = [
        (Facts { online: true, ..facts() }, Reason::Online),
        (
            Facts { standing: Standing { read_seq: 20, unread: 0, ..facts().standing }, ..facts() },
            Reason::Read,
        ),
        (
            Facts { standing: Standing { unread: 0, ..facts().standing }, ..facts() },
            Reason::Deleted,
        ),
        (
            Facts { standing: Standing { muted: true, ..facts().standing }, ..facts() },
            Reason::Muted,
        ),
        (
            Facts {
                standing: Standing { has_left: true, muted: true, ..facts().standing },
                ..facts()
            },
            Reason::NotMember,
        ),
        (
            Facts { standing: Standing { blocked: true, ..facts().standing }, ..facts() },
            Reason::Blocked,
        ),
        (Facts { endpoints: Vec::new(), ..facts() }, Reason::NoEndpoint),
        (Facts { settings: serde_json::from_value(off).unwrap(), ..facts() }, Reason::Preferences),
        (
            Facts { settings: serde_json::from_value(not_this).unwrap(), ..facts() },
            Reason::Preferences,
        ),
        (Facts { full: both, ..facts() }, Reason::Capped),
    ];
    for (facts, expected) in cases {
        let mut thread = NotificationThread::default();
        assert_eq!(reason(decide(&mut thread, &facts, 30)), expected);
        assert_eq!(thread.told, None);
    }
}

#[test]
fn a_reading_cancels_and_settles_what_it_read() {
    let mut thread = NotificationThread::default();
    let read = Facts {
        standing: Standing { read_seq: 5, unread: 15, ..facts().standing },
        trigger: Trigger::Read,
        ..facts()
    };
    assert_eq!(reason(decide(&mut thread, &read, 10)), Reason::Read);
    assert_eq!(decide(&mut thread, &read, 11), Decision::Known);
    assert_eq!(thread.settled_through, 5);
    // The next message is told of with what else waits.
    let next = Facts {
        standing: Standing { last_seq: 21, read_seq: 5, unread: 16, ..facts().standing },
        ..facts()
    };
    let digest = told(decide(&mut thread, &next, 60));
    assert_eq!((digest.first_seq, digest.messages), (6, 16));
}

#[test]
fn quiet_hours_put_it_off_and_then_it_is_decided_again() {
    let settings =
        serde_json::from_value(json!({"quietHours": {"from": "11:00", "to": "13:00"}})).unwrap();
    let quiet = Facts { settings, ..facts() };
    let mut thread = NotificationThread::default();
    let Decision::Event(ThreadEvent::Deferred { reason, until, .. }) =
        decide(&mut thread, &quiet, 30)
    else {
        panic!("{thread:?}")
    };
    assert_eq!((reason, until), (Reason::QuietHours, at(3_600)));
    let more = Facts { standing: Standing { last_seq: 25, unread: 25, ..quiet.standing }, ..quiet };
    assert_eq!(decide(&mut thread, &more, 600), Decision::Known);
    let ended = Facts { trigger: Trigger::Deferred, ..more };
    assert_eq!(told(decide(&mut thread, &ended, 3_600)).messages, 25);
}

#[test]
fn a_channel_at_its_cap_is_left_out() {
    let others = [capped(ChannelKind::Sms), capped(ChannelKind::Webhook)];
    let full = Facts { full: others.to_vec(), ..facts() };
    let digest = told(decide(&mut NotificationThread::default(), &full, 30));
    assert_eq!(digest.targets, [target(ChannelKind::Email)]);
    assert_eq!(digest.capped, [capped(ChannelKind::Sms)]);
}

#[test]
fn a_digest_over_all_conversations_is_told_once_and_without_a_cool_down() {
    let all = Facts { conversation: None, thread_id: "bob *email".to_owned(), ..facts() };
    let mut thread = NotificationThread::default();
    let first = told(decide(&mut thread, &all, 30));
    assert_eq!((first.messages, first.cooldown_seconds), (20, 0));
    assert_eq!(decide(&mut thread, &all, 31), Decision::Known);
    let more = Facts { standing: Standing { last_seq: 21, unread: 21, ..all.standing }, ..all };
    let second = told(decide(&mut thread, &more, 31));
    assert_ne!(first.notification_id, second.notification_id);
    let read = Facts { standing: Standing { last_seq: 22, unread: 0, ..more.standing }, ..more };
    assert_eq!(reason(decide(&mut thread, &read, 32)), Reason::Read);
}

#[test]
fn the_same_reason_is_not_written_all_day_long() {
    let mut thread = NotificationThread::default();
    let mut written = 0;
    for minute in 0..60 {
        let last_seq = 20 + minute;
        let muted = Facts {
            standing: Standing { muted: true, last_seq, unread: last_seq, ..facts().standing },
            ..facts()
        };
        let decision = decide(&mut thread, &muted, i64::try_from(minute).unwrap() * 60);
        written += i32::from(decision != Decision::Known);
    }
    assert_eq!(written, 4);
    let heard =
        Facts { standing: Standing { last_seq: 99, unread: 99, ..facts().standing }, ..facts() };
    assert_eq!(told(decide(&mut thread, &heard, 3_600)).messages, 99);
}
