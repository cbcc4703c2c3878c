use parley_domain::Action;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::realtime::{hub::HubConfig, routing::Logged, token::Codec};

#[path = "session_groups_tests.rs"]
mod groups;
#[path = "session_simulation.rs"]
mod simulation;

pub(super) fn config() -> SessionConfig {
    SessionConfig {
        hello_timeout: Duration::from_secs(5),
        heartbeat: Duration::from_secs(25),
        flood: FloodConfig { frames_per_second: 200, burst_frames: 50 },
        max_in_flight: 4,
        max_outbound_bytes: 100_000,
        token_interval: Duration::from_secs(5),
    }
}

struct Rig {
    hub: Arc<Hub>,
    session: Session,
    out: Outbox,
    now: Instant,
}

impl Rig {
    fn new(known: Option<Who>) -> Self {
        let hub = Arc::new(Hub::new(
            Codec::new(Uuid::nil(), 1),
            &[10],
            HubConfig { ring_bytes: 9_000, member_bytes: 9_000 },
        ));
        let now = Instant::now();
        let session = Session::new(Arc::new(config()), Arc::clone(&hub), known, now);
        Self { hub, session, out: Outbox::default(), now }
    }

    fn open() -> Self {
        let mut rig = Self::new(Some(rig_who(None)));
        let since = rig.hub.codec().settled(&[10]);
        let said = rig.say(&json!({"type": "hello", "deviceId": "dev_1", "since": since}));
        assert_eq!(types(&said), ["ready", "caughtUp"]);
        rig
    }

    fn input(&mut self, input: Input<'_>) -> Vec<Value> {
        self.session.receive(input, self.now, &mut self.out);
        self.sent()
    }

    fn say(&mut self, frame: &Value) -> Vec<Value> {
        self.input(Input::Text(&frame.to_string()))
    }

    fn pass(&mut self, seconds: u64) -> Vec<Value> {
        self.now += Duration::from_secs(seconds);
        self.input(Input::Tick)
    }

    fn push(&mut self, position: u64, pair: &str) {
        let subject = format!("dm.evt.0.d.{pair}");
        let payload = format!(r#"{{"version":{position}}}"#);
        let logged = Logged { position, subject: &subject, payload: payload.as_bytes() };
        self.hub.push(self.hub.read(0, [logged]), Vec::new());
    }

    fn feed(&mut self) -> Vec<Value> {
        self.session.feed(10_000, self.now, &mut self.out);
        self.sent()
    }

    fn sent(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.out.next_frame())
            .map(|frame| serde_json::from_str(&frame).unwrap())
            .collect()
    }

    fn closed(&self) -> Option<u16> {
        assert_eq!(self.session.is_closed(), self.out.ending().is_some());
        self.out.ending().map(|ending| ending.close.code())
    }
}

fn rig_who(device: Option<&str>) -> Who {
    Who {
        user_id: UserId::parse("alice").unwrap(),
        device_id: device.map(|device| DeviceId::parse(device).unwrap()),
        registration: device.map(|_| 1),
        scope: Scope::User,
        expires_at: Instant::now() + Duration::from_secs(3_600),
    }
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

fn hello() -> Value {
    json!({"type": "hello", "sessionToken": "s", "deviceId": "dev_1"})
}

fn page(checkpoint: u64, next: Option<&str>) -> Page {
    Page {
        checkpoints: [checkpoint].into(),
        conversations: serde_json::value::RawValue::from_string("[]".to_owned()).unwrap(),
        account: serde_json::value::RawValue::from_string("{}".to_owned()).unwrap(),
        is_empty: true,
        next: next.map(Into::into),
    }
}

#[test]
fn a_token_in_the_hello_counts_before_whom_the_upgrade_named() {
    let cookie = Who { user_id: UserId::parse("carol").unwrap(), ..rig_who(None) };
    let mut rig = Rig::new(Some(cookie));
    assert!(rig.say(&hello()).is_empty());
    assert_eq!(rig.out.next_effect(), Some(Effect::Authenticate(SessionToken("s".into()))));
    let said = rig.input(Input::Authenticated(Ok(rig_who(Some("dev_1")))));
    assert_eq!(said[0]["userId"], "alice");
}

#[test]
fn a_hello_in_time_with_a_good_token_is_welcome() {
    let mut rig = Rig::new(None);
    assert!(rig.say(&hello()).is_empty());
    assert_eq!(rig.out.next_effect(), Some(Effect::Authenticate(SessionToken("s".into()))));
    assert!(!rig.session.is_listening());
    let said = rig.input(Input::Authenticated(Ok(rig_who(Some("dev_1")))));
    assert_eq!(
        said,
        [json!({"type":"ready","userId":"alice","deviceId":"dev_1","heartbeatSeconds":25})]
    );
    // No since: everything is read, from the first page on.
    let request = rig.session.next_page().unwrap();
    assert_eq!((request.since, request.cursor), (None, None));
    assert!(rig.session.next_page().is_none());
    assert_eq!(types(&rig.input(Input::Page(&page(12, Some("p2"))))), ["sync"]);
    assert_eq!(rig.session.next_page().unwrap().cursor.as_deref(), Some("p2"));
    rig.push(12, "alice.bob");
    rig.push(13, "alice.bob");
    assert!(rig.feed().is_empty());
    assert_eq!(types(&rig.input(Input::Page(&page(12, None)))), ["sync", "caughtUp"]);
    assert_eq!(rig.feed(), [json!({"type":"event","event":{"version":13}})]);
}

#[test]
fn who_is_not_known_in_time_is_shut_out() {
    let mut rig = Rig::new(None);
    assert_eq!(rig.session.deadline(), rig.now + Duration::from_secs(5));
    rig.pass(4);
    assert_eq!(rig.closed(), None);
    rig.pass(1);
    assert_eq!(rig.closed(), Some(4401));

    for frame in [
        json!({"type":"ping"}),
        json!({"type":"message.edit"}),
        json!({"type":"hello","deviceId":"d"}),
    ] {
        let mut rig = Rig::new(None);
        rig.say(&frame);
        assert_eq!(rig.closed(), Some(4401), "{frame}");
    }
    let mut rig = Rig::new(None);
    rig.say(&hello());
    rig.input(Input::Authenticated(Err("no")));
    assert_eq!(rig.closed(), Some(4401));

    let mut rig = Rig::new(None);
    rig.say(&hello());
    rig.input(Input::Authenticated(Ok(rig_who(Some("dev_2")))));
    assert_eq!(rig.closed(), Some(4401));
}

#[test]
fn an_unlinked_device_is_cut_off_whether_it_is_open_or_just_comes() {
    let mut rig = Rig::open();
    let (user, device, registration) = rig.session.device().unwrap();
    assert_eq!((user.as_str(), device.as_str(), registration), ("alice", "dev_1", None));
    assert!(rig.input(Input::Unlinked).is_empty());
    assert_eq!(rig.closed(), Some(4403));

    let mut rig = Rig::new(None);
    rig.say(&hello());
    assert_eq!(rig.session.device(), None);
    assert!(rig.input(Input::Unlinked).is_empty());
    assert_eq!(rig.closed(), Some(4403));
}

#[test]
fn what_is_not_of_the_contract_closes() {
    type Act = fn(&mut Rig);
    let cases: [(u16, Act); 8] = [
        (4400, |rig| drop(rig.input(Input::Text("{")))),
        (4400, |rig| drop(rig.say(&json!({"type":"teleport"})))),
        (4400, |rig| drop(rig.say(&hello()))),
        (4400, |rig| drop(rig.input(Input::Binary))),
        (4400, |rig| drop(rig.input(Input::Garbled))),
        (4413, |rig| drop(rig.input(Input::TooLarge))),
        (4413, |rig| drop(rig.input(Input::Text(&" ".repeat(65_537))))),
        (4429, |rig| (0..60).for_each(|_| drop(rig.say(&json!({"type":"ping"}))))),
    ];
    for (code, act) in cases {
        let mut rig = Rig::open();
        act(&mut rig);
        assert_eq!(rig.closed(), Some(code));
        // And nothing more is said.
        assert!(rig.say(&json!({"type":"ping"})).is_empty());
        assert!(rig.pass(100).is_empty());
    }
}

#[test]
fn silence_and_expiry_close() {
    let mut rig = Rig::open();
    rig.pass(49);
    assert_eq!(rig.closed(), None);
    assert_eq!(types(&rig.say(&json!({"type":"ping"}))), ["pong"]);
    rig.pass(49);
    rig.input(Input::Heard);
    rig.pass(49);
    assert_eq!(rig.closed(), None);
    rig.pass(1);
    assert_eq!(rig.closed(), Some(4408));

    let mut who = rig_who(None);
    who.expires_at = Instant::now() + Duration::from_secs(7);
    let mut rig = Rig::new(Some(who));
    rig.say(&json!({"type":"hello","deviceId":"dev_1"}));
    assert!(rig.session.deadline() <= rig.now + Duration::from_secs(7));
    rig.pass(8);
    assert_eq!(rig.closed(), Some(4401));
}

#[test]
fn commands_keep_their_order_and_are_answered_by_ref() {
    let mut rig = Rig::open();
    for n in 1..=4 {
        assert!(rig.session.is_listening());
        let conversation = format!("d.alice.bob{n}");
        rig.say(&json!({"type":"cursor.read","ref":n.to_string(),"conversationId":conversation,"throughSeq":n}));
    }
    assert!(!rig.session.is_listening());
    let mut tickets = Vec::new();
    while let Some(Effect::Run(run)) = rig.out.next_effect() {
        let (ticket, command) = *run;
        let through_seq = tickets.len() as u64 + 1;
        assert_eq!(command.action, Action::MarkRead { through_seq });
        assert_eq!(command.actor.device_id.unwrap().as_str(), "dev_1");
        tickets.push(ticket);
    }
    let done = Answer::Cursor { version: 7, read_seq: 2, delivered_seq: 2 };
    assert_eq!(
        rig.input(Input::Answered(&tickets[1], Ok(done))),
        [json!({"type":"ack","ref":"2","version":7})]
    );
    assert!(rig.session.is_listening());
    let refused = Refused { code: "not_found".into(), message: "no".into(), retry_after_ms: 0 };
    assert_eq!(
        rig.input(Input::Answered(&tickets[0], Err(refused))),
        [json!({"type":"error","ref":"1","code":"not_found","message":"no","retryAfterMs":0})]
    );
    let said = rig.say(&json!({"type":"message.send","ref":"9","conversationId":"nope"}));
    assert_eq!(
        (types(&said), &said[0]["ref"], &said[0]["code"]),
        (vec!["error"], &json!("9"), &json!("invalid_id"))
    );
}

#[test]
fn a_burst_of_cursors_is_two_commands_and_each_is_answered() {
    let mut rig = Rig::open();
    let run = |rig: &mut Rig, expected: u64| {
        let Some(Effect::Run(run)) = rig.out.next_effect() else { panic!("nothing to run") };
        assert_eq!(run.1.action, Action::MarkDelivered { through_seq: expected });
        assert_eq!(rig.out.next_effect(), None);
        run.0
    };
    for n in 1..=4 {
        rig.say(&json!({"type":"cursor.delivered","ref":n.to_string(),"conversationId":"d.alice.bob","throughSeq":n}));
    }
    let first = run(&mut rig, 1);
    let done = |version| Ok(Answer::Cursor { version, read_seq: 0, delivered_seq: version });
    let ack = |n: u64, version: u64| json!({"type":"ack","ref":n.to_string(),"version":version});
    assert_eq!(rig.input(Input::Answered(&first, done(5))), [ack(1, 5)]);
    let rest = run(&mut rig, 4);
    assert_eq!(rig.input(Input::Answered(&rest, done(6))), [ack(2, 6), ack(3, 6), ack(4, 6)]);
    assert_eq!(rig.out.next_effect(), None);
    assert!(rig.session.is_listening());
}

#[test]
fn typing_is_told_once_a_second_and_its_end_once() {
    let mut rig = Rig::open();
    rig.hub.onlookers().talked("d.alice.bob", ["alice", "bob"], true);
    let told = |rig: &mut Rig, typing: bool| {
        rig.say(&json!({"type":"typing","conversationId":"d.alice.bob","typing":typing}));
        rig.out.next_effect().is_some()
    };
    assert!(!told(&mut rig, false), "nothing has begun");
    assert_eq!([true; 5].map(|typing| told(&mut rig, typing)), [true, true, true, false, false]);
    assert_eq!([told(&mut rig, false), told(&mut rig, false)], [true, false]);
    assert!(!told(&mut rig, true));
    rig.pass(1);
    assert!(told(&mut rig, true) && !told(&mut rig, true));
}

#[test]
fn watching_is_an_effect_and_changes_are_frames() {
    let mut rig = Rig::open();
    let watch = json!({"type":"presence.watch","ref":"9","userIds":["bob"]});
    for _ in 0..20 {
        assert!(rig.say(&watch).is_empty());
        let bob = UserId::parse("bob").unwrap();
        assert_eq!(rig.out.next_effect(), Some(Effect::Watch(vec![bob])));
    }
    let said = rig.say(&watch);
    assert_eq!((&said[0]["code"], &said[0]["ref"]), (&json!("rate_limited"), &json!("9")));
    assert_eq!(rig.out.next_effect(), None);
    let bob = UserId::parse("bob").unwrap();
    let said = rig.input(Input::Presence(protocol::presence(&bob, true, None)));
    assert_eq!(types(&said), ["presence"]);
}

#[test]
fn a_token_covers_what_was_sent_and_comes_now_and_then() {
    let mut rig = Rig::open();
    rig.push(11, "alice.bob");
    assert_eq!(types(&rig.feed()), ["event"]);
    assert!(rig.pass(4).is_empty());
    rig.push(12, "alice.bob");
    rig.push(13, "bob.carol");
    assert_eq!(rig.session.deadline(), rig.now + Duration::from_secs(1));
    // 12 is on its way, so the token does not cover it.
    assert_eq!(rig.pass(1), [json!({"type":"token","token":rig.hub.codec().settled(&[11])})]);
    assert_eq!(types(&rig.feed()), ["event"]);
    assert_eq!(rig.pass(5), [json!({"type":"token","token":rig.hub.codec().settled(&[13])})]);
    // Nothing of one's own, but the log goes on: the heartbeat brings a fresh one.
    rig.push(20, "bob.carol");
    rig.feed();
    assert!(rig.pass(20).is_empty());
    let said = rig.say(&json!({"type":"ping"}));
    assert_eq!(said[1], json!({"type":"token","token":rig.hub.codec().settled(&[20])}));
    rig.pass(20);
    assert_eq!(types(&rig.say(&json!({"type":"ping"}))), ["pong"]);
}

#[test]
fn a_sync_is_answered_with_its_ref_while_events_go_on() {
    let mut rig = Rig::open();
    let old = rig.hub.codec().settled(&[3]);
    assert!(rig.say(&json!({"type":"sync","ref":"a","since":old})).is_empty());
    assert!(rig.say(&json!({"type":"sync","ref":"b","since":"damaged"})).is_empty());
    rig.push(11, "alice.bob");
    assert_eq!(types(&rig.feed()), ["event"]);
    assert!(rig.pass(6).is_empty(), "a token would hide what the pages bring");
    assert_eq!(rig.session.next_page().unwrap().since.as_deref(), Some(&[3][..]));
    let said = rig.input(Input::Page(&page(10, None)));
    assert_eq!((types(&said), &said[1]["ref"]), (vec!["sync", "caughtUp"], &json!("a")));
    assert_eq!(rig.session.next_page().unwrap().since, None);
    let said = rig.input(Input::Page(&page(11, None)));
    assert_eq!((types(&said), &said[0]["ref"]), (vec!["sync", "caughtUp"], &json!("b")));
}

#[test]
fn who_asks_at_a_jump_is_answered_from_the_views() {
    let mut rig = Rig::open();
    rig.push(11, "alice.bob");
    rig.feed();
    // The ring reaches back so far, and would only jump again.
    let since = rig.hub.codec().settled(&[10]);
    assert!(rig.say(&json!({"type": "sync", "ref": "4", "since": since})).is_empty());
    assert_eq!(rig.session.next_page().unwrap().since.as_deref(), Some(&[10][..]));
    let said = rig.input(Input::Page(&page(11, None)));
    assert_eq!(types(&said), ["sync", "caughtUp"]);
    assert_eq!((&said[0]["ref"], &said[1]["ref"]), (&json!("4"), &json!("4")));
    assert!(rig.feed().is_empty());
}

#[test]
fn a_gap_in_the_log_sends_older_tokens_to_the_views() {
    let mut rig = Rig::new(Some(rig_who(None)));
    rig.push(11, "alice.bob");
    rig.hub.forget(0, 13);
    rig.push(14, "alice.bob");
    let since = rig.hub.codec().settled(&[11]);
    let said = rig.say(&json!({"type": "hello", "deviceId": "dev_1", "since": since}));
    assert_eq!(types(&said), ["ready"]);
    assert_eq!(rig.session.next_page().unwrap().since.as_deref(), Some(&[11][..]));
}

#[test]
fn a_token_beyond_the_logs_end_means_everything_again() {
    let mut rig = Rig::new(Some(rig_who(None)));
    let ahead = rig.hub.codec().settled(&[99]);
    rig.say(&json!({"type":"hello","deviceId":"d","since":ahead}));
    assert_eq!(rig.out.next_effect(), Some(Effect::NoteEnds(vec![0])));
    rig.hub.note_end(0, 50);
    rig.input(Input::EndsNoted);
    assert_eq!(rig.session.next_page().unwrap().since, None);

    // This gateway is only slow: the token is good.
    let mut rig = Rig::new(Some(rig_who(None)));
    rig.say(&json!({"type":"hello","deviceId":"d","since":ahead}));
    rig.hub.note_end(0, 99);
    assert_eq!(types(&rig.input(Input::EndsNoted)), ["caughtUp"]);
    rig.push(99, "alice.bob");
    rig.push(100, "alice.bob");
    assert_eq!(rig.feed(), [json!({"type":"event","event":{"version":100}})]);
}

#[test]
fn a_slow_reader_is_let_go() {
    let mut rig = Rig::open();
    rig.feed();
    for position in 11..2_000 {
        rig.push(position, "alice.bob");
    }
    rig.feed();
    assert_eq!(rig.closed(), Some(4409));
    assert_eq!(rig.out.bytes(), 0);
}

#[test]
fn a_drain_is_announced_and_then_done() {
    let mut rig = Rig::open();
    let until = rig.now + Duration::from_secs(3);
    let drain = || Input::Drain { reconnect_after_ms: 1_200, until };
    assert_eq!(rig.input(drain()), [json!({"type":"draining","reconnectAfterMs":1200})]);
    assert!(rig.input(drain()).is_empty());
    assert_eq!(types(&rig.say(&json!({"type":"ping"}))), ["pong"]);
    rig.pass(3);
    assert_eq!(rig.closed(), Some(4503));
}
