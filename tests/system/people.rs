//! Five people do what comes to their minds, and a simple model of the contract says what should
//! come of it: every answer, what everybody sees over HTTP, and what their devices are told, which
//! are cut off and come back.
//!
//! `PARLEY_TEST_SEED` repeats a run; `PARLEY_TEST_PEOPLE_STEPS` makes it longer.

mod device;
mod plan;
mod reference;

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use self::{
    device::Device,
    plan::{Plan, USERS},
    reference::{Act, Outcome, User, What, World},
};
use crate::harness::{Answer, Client, Deployment, Service, eventually};
use crate::model::{Model, put};
use crate::resume::seed;

const VIEWS_WITHIN: Duration = Duration::from_secs(30);
/// Things done between two times that everything is compared.
const STEPS_A_CHECK: u64 = 80;

fn steps() -> u64 {
    let given = std::env::var("PARLEY_TEST_PEOPLE_STEPS").ok();
    given.and_then(|steps| steps.parse().ok()).unwrap_or(800)
}

#[tokio::test]
async fn what_people_do_has_the_consequences_that_the_contract_says() {
    let seed = seed();
    println!("PARLEY_TEST_SEED={seed} PARLEY_TEST_PEOPLE_STEPS={}", steps());
    // What is deleted is erased from the log at once, so devices see gaps.
    let deployment = Deployment::start_with(&[("PARLEY_ERASE_GRACE_SECONDS", "0")]).await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    // One that remembers, and one that forgets soon and asks the views.
    let small = [("PARLEY_RING_BYTES", "65536"), ("PARLEY_RING_PRELOAD_EVENTS", "10")];
    let gateways = [deployment.gateway().await, deployment.service_with("gateway", &small).await];
    gateways[1].wait_ready().await;
    let mut run = Run::begin(&gateways, seed).await;
    for step in 1..=steps() {
        run.step().await;
        if step % STEPS_A_CHECK == 0 || step == steps() {
            run.check().await;
        }
    }
    let Run { done, refused, people, .. } = &run;
    let jumps: u32 = people.iter().map(|person| person.device.jumps).sum();
    println!(
        "{done} things done, {refused} refused; devices asked {jumps} times for what was erased"
    );
}

/// What was asked for and answered; the last of it is printed if something is wrong.
#[derive(Default)]
struct Log(Vec<String>);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "the last things done:\n{}",
                self.0[self.0.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}

struct Person {
    user: User,
    /// Of each gateway.
    clients: Vec<Client>,
    device: Device,
    /// Frames of the device that were looked through.
    looked_at: usize,
}

struct Run<'a> {
    gateways: &'a [Service],
    plan: Plan,
    world: World,
    people: Vec<Person>,
    log: Log,
    done: u32,
    refused: u32,
}

impl<'a> Run<'a> {
    async fn begin(gateways: &'a [Service], seed: u64) -> Self {
        let (plan, world, log) = (Plan::new(seed), World::default(), Log::default());
        let mut people = Vec::new();
        for user in USERS {
            let mut clients = Vec::new();
            for gateway in gateways {
                clients.push(gateway.client(user).await);
            }
            let mut device = Device::new(user);
            device.connect(&gateways[0].url(), &clients[0]).await;
            // Once it has a token, it is given everything.
            device.listen(&world).await;
            people.push(Person { user, clients, device, looked_at: 0 });
        }
        Self { gateways, plan, world, people, log, done: 0, refused: 0 }
    }

    async fn step(&mut self) {
        if self.plan.chance(8) {
            let person = self.plan.below(USERS.len() as u64) as usize;
            self.cut_or_connect(person).await;
        }
        let act = self.plan.next(&self.world);
        // Somebody who does not wait for the answer, and asks again on another way.
        let is_twice = matches!(act.what, What::Send { .. }) && self.plan.chance(10);
        let person = self.people.iter().find(|person| person.user == act.by).unwrap();
        let (method, path, body) = request(&act);
        let answers = if is_twice {
            let ask = |n: usize| person.clients[n].request(method.clone(), &path, body.as_ref());
            let (one, other) = tokio::join!(ask(0), ask(1));
            let mut both = vec![one, other];
            both.sort_by_key(|answer| answer.json["duplicate"] == true);
            both
        } else {
            let gateway = self.plan.below(self.gateways.len() as u64) as usize;
            vec![person.clients[gateway].request(method, &path, body.as_ref()).await]
        };
        for answer in answers {
            let outcome = self.world.act(&act);
            self.log.0.push(format!("{act:?}\n    {} {}", answer.status, answer.json));
            assert_answer(&answer, &outcome);
            *if outcome.0 < 300 { &mut self.done } else { &mut self.refused } += 1;
        }
    }

    async fn cut_or_connect(&mut self, person: usize) {
        let gateway = self.plan.below(self.gateways.len() as u64) as usize;
        let Person { user, clients, device, .. } = &mut self.people[person];
        if device.is_connected() && self.plan.chance(70) {
            // Half of the time it has heard everything.
            if self.plan.chance(50) {
                device.listen(&self.world).await;
            }
            device.cut();
            self.log.0.push(format!("{user} is cut off"));
        } else {
            device.connect(&self.gateways[gateway].url(), &clients[gateway]).await;
            self.log.0.push(format!("{user} is back at gateway {gateway}"));
        }
    }

    /// Compares everything.
    async fn check(&mut self) {
        self.log.0.push("everything is compared".to_owned());
        // Who has left cannot tell whether the views know what has happened since; the others can.
        for person in &self.people {
            person.fresh(&self.world).await;
        }
        for person in &mut self.people {
            if !person.device.is_connected() {
                person.device.connect(&self.gateways[0].url(), &person.clients[0]).await;
            }
            person.device.listen(&self.world).await;
            person.look_for_secrets(&self.world);
            let fresh = person.views(&self.world).await;
            person.compare_device(&self.world, fresh);
            person.compare_routes(&self.world, &mut self.plan).await;
        }
    }
}

impl Person {
    /// Nothing of what the device was sent is of a conversation that is not its user's, or of a time
    /// when they were not there.
    fn look_for_secrets(&mut self, world: &World) {
        for frame in &self.device.frames[self.looked_at..] {
            let event = &frame["event"];
            let shown = frame["conversations"].as_array().into_iter().flatten();
            let shown = shown.map(|shown| &shown["conversation"]["conversationId"]);
            for id in shown.chain(event.get("subject")).filter_map(Value::as_str) {
                let is_own = id == format!("a.{}", self.user) || world.knows(id, self.user);
                assert!(is_own, "{} is sent {frame}", self.user);
            }
            if let (Some(id), Some(version)) =
                (event["subject"].as_str(), event["version"].as_u64())
                && !id.starts_with("a.")
            {
                assert!(world.hears(id, self.user, version), "{} is sent {frame}", self.user);
            }
            let text = frame.to_string();
            for said in text.split('~').skip(1).step_by(2) {
                let said = format!("~{said}~");
                assert!(world.may_read(self.user, &said), "{} is sent {said}: {frame}", self.user);
            }
        }
        self.looked_at = self.device.frames.len();
    }

    /// What the views say once they have everything.
    async fn fresh(&self, world: &World) -> Model {
        let (user, client) = (self.user, &self.clients[1]);
        eventually("the views have everything", VIEWS_WITHIN, async || {
            let fresh = Model::fresh(user, client).await;
            let is_there = |id: &str| fresh.version(id) == world.version(id, user);
            let account = fresh.account["version"].as_u64() == Some(world.account_version(user));
            (account && world.inbox(user).all(is_there)).then_some(fresh)
        })
        .await
    }

    /// What the views say is what the contract does.
    async fn views(&self, world: &World) -> Model {
        let (user, fresh) = (self.user, self.fresh(world).await);
        let ids: Vec<&str> = fresh.conversations.keys().map(String::as_str).collect();
        assert_eq!(ids, world.inbox(user).collect::<Vec<_>>(), "the conversations of {user}");
        for (id, shown) in &fresh.conversations {
            let mut summary = world.summary(id, user);
            if !id.starts_with('d') {
                summary.as_object_mut().unwrap().remove("members");
            }
            assert_eq!(timeless(&shown.summary), summary, "{id} as {user} sees it");
            let history: Vec<Value> = shown.messages.values().map(timeless).collect();
            assert_eq!(history, world.history(id, user), "what {user} reads in {id}");
        }
        fresh
    }

    /// What the device has been told makes the same.
    fn compare_device(&self, world: &World, fresh: Model) {
        let mut told = self.device.model.clone();
        for (id, shown) in &fresh.conversations {
            let changed = world.changed_since_leaving(id, self.user);
            let Some(held) = told.conversations.get_mut(id).filter(|_| !changed.is_empty()) else {
                continue;
            };
            // Who has left is not told of it, and sees it when they ask.
            for seq in changed {
                held.messages.insert(seq, shown.messages[&seq].clone());
            }
            for field in ["lastMessage", "unread"] {
                put(&mut held.summary, field, shown.summary.get(field));
            }
        }
        let user = self.user;
        assert_eq!(told.account, fresh.account, "the account on {user}'s device");
        for (id, shown) in &fresh.conversations {
            assert_eq!(told.conversations.get(id), Some(shown), "{id} on {user}'s device");
        }
        assert_eq!(told.conversations.len(), fresh.conversations.len(), "on {user}'s device");
    }

    /// The routes that a sync does not go through.
    async fn compare_routes(&self, world: &World, plan: &mut Plan) {
        let (user, client) = (self.user, &self.clients[plan.below(2) as usize]);
        let inbox = client.get("/v1/conversations?limit=200").await.expect(200);
        let inbox = inbox["conversations"].as_array().unwrap();
        assert_eq!(inbox.len(), world.inbox(user).count(), "the inbox of {user}");
        for shown in inbox {
            let mut summary = world.summary(shown["conversationId"].as_str().unwrap(), user);
            if shown["kind"] != "direct" {
                summary.as_object_mut().unwrap().remove("members");
            }
            assert_eq!(timeless(shown), summary, "in the inbox of {user}");
        }
        for id in world.inbox(user) {
            let path = format!("/v1/conversations/{id}");
            let shown = client.get(&path).await.expect(200);
            assert_eq!(timeless(&shown), world.summary(id, user), "{id} as {user} sees it");
            let seq = 1 + plan.below(world.last_seq(id) + 1);
            let answer = client.get(&format!("{path}/receipts/{seq}")).await;
            match world.receipts(id, user, seq) {
                Some(receipts) => assert_eq!(answer.expect(200), receipts, "{user}: {id} {seq}"),
                None => drop(answer.expect(404)),
            }
        }
        for id in world.crowds().filter(|id| !world.knows(id, user)) {
            for route in ["", "/messages", "/receipts/1"] {
                client.get(&format!("/v1/conversations/{id}{route}")).await.expect(404);
            }
        }
    }
}

fn assert_answer(answer: &Answer, (status, says): &Outcome) {
    let differs = |(name, value): (&String, &Value)| answer.json[name] != *value;
    let is_said = !says.as_object().unwrap().iter().any(differs);
    assert!(
        answer.status == *status && is_said,
        "answered {} {}, and not {status} {says}",
        answer.status,
        answer.json
    );
}

fn request(act: &Act) -> (Method, String, Option<Value>) {
    let base = format!("/v1/conversations/{}", act.id);
    let text = |text: &str| json!({"kind": "text", "text": text});
    let (method, rest, body) = match &act.what {
        What::Send { name, text: said, reply_to } => {
            let mut body = json!({"clientMessageId": name, "body": text(said)});
            if let Some(seq) = reply_to {
                body["replyTo"] = json!(seq);
            }
            (Method::POST, "/messages".to_owned(), Some(body))
        }
        What::Edit { seq, text: said } => {
            (Method::PATCH, format!("/messages/{seq}"), Some(json!({"body": text(said)})))
        }
        What::Delete { seq } => (Method::DELETE, format!("/messages/{seq}"), None),
        What::React { seq, emoji } => (Method::PUT, reaction(*seq, emoji), None),
        What::TakeBack { seq, emoji } => (Method::DELETE, reaction(*seq, emoji), None),
        What::Read { through } => {
            (Method::POST, "/read-cursors".to_owned(), Some(json!({"readThroughSeq": through})))
        }
        What::Delivered { through } => {
            let body = json!({"deliveredThroughSeq": through});
            (Method::POST, "/delivery-cursors".to_owned(), Some(body))
        }
        What::Create { title, members } => {
            let kind = if act.id.starts_with('g') { "group" } else { "channel" };
            let body = json!({
                "kind": kind, "title": title, "memberIds": members, "conversationId": act.id,
            });
            return (Method::POST, "/v1/conversations".to_owned(), Some(body));
        }
        What::Put { user, role } => {
            let body = role.map_or_else(|| json!({}), |role| json!({"role": role}));
            (Method::PUT, format!("/members/{user}"), Some(body))
        }
        What::Remove { user } => (Method::DELETE, format!("/members/{user}"), None),
        What::Rename { title: Some(title) } => {
            (Method::PUT, "/title".to_owned(), Some(json!({"title": title})))
        }
        What::Rename { title: None } => (Method::DELETE, "/title".to_owned(), None),
        What::Timer { seconds } => {
            (Method::PUT, "/timer".to_owned(), Some(json!({"seconds": seconds})))
        }
        What::Block => (Method::PUT, "/block".to_owned(), None),
        What::Unblock => (Method::DELETE, "/block".to_owned(), None),
    };
    (method, base + &rest, body)
}

fn reaction(seq: u64, emoji: &str) -> String {
    let emoji: String = emoji.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/messages/{seq}/reactions/{emoji}")
}

/// Without what the reference does not know: when it was, and which id was made.
fn timeless(shown: &Value) -> Value {
    let mut shown = shown.clone();
    let fields = shown.as_object_mut().unwrap();
    fields.retain(|name, _| !["createdAt", "updatedAt", "messageId"].contains(&name.as_str()));
    for (name, value) in fields.iter_mut() {
        match name.as_str() {
            "editedAt" | "deletedAt" | "expiresAt" => *value = json!("some time"),
            "lastMessage" => *value = timeless(value),
            _ => {}
        }
    }
    shown
}
