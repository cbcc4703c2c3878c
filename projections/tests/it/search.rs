//! Searching: what is found, in which order, and what it costs.

use std::time::{Duration, Instant};

use parley_domain::{
    Action, Body, ClientMessageId, ConversationId, Kind, Scope, conversation::Title,
};
use parley_projections::{
    queries::{
        Filter, Hit, Page, SearchCursor, SearchFor, SearchLimits, SearchPage, Words, history,
        inbox, search,
    },
    views::Message,
};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use sqlx::PgPool;

use crate::{
    log::{Log, SHARD, direct, named, user},
    support::{catch_up, lone_views, random, rows_read, views_of},
};

const SHARDS: u16 = SHARD + 1;
const LIMITS: SearchLimits =
    SearchLimits { hits: 100, messages: 20_000, time: Duration::from_secs(60) };

fn words(typed: &str) -> SearchFor {
    SearchFor {
        words: Words::parse(typed).unwrap(),
        conversation_id: None,
        sender_id: None,
        after: None,
        before: None,
    }
}

async fn page(
    pool: &PgPool,
    who: &str,
    wanted: &SearchFor,
    cursor: Option<SearchCursor>,
    limits: SearchLimits,
) -> SearchPage {
    search(pool, SHARDS, &user(who), wanted, cursor, limits).await.unwrap().unwrap()
}

/// Through its text, as a client would send it.
fn sent(cursor: Option<SearchCursor>) -> Option<SearchCursor> {
    cursor.map(|cursor| SearchCursor::parse(&cursor.to_string()).unwrap())
}

async fn pages(
    pool: &PgPool,
    who: &str,
    wanted: &SearchFor,
    limits: SearchLimits,
) -> Vec<SearchPage> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let next = page(pool, who, wanted, cursor, limits).await;
        cursor = sent(next.next_cursor.clone());
        pages.push(next);
        if cursor.is_none() {
            return pages;
        }
    }
}

fn place(message: &Message) -> (String, u64) {
    (message.conversation_id.to_string(), message.conversation_seq)
}

fn places(hits: &[Hit]) -> Vec<(String, u64)> {
    hits.iter().map(|hit| place(&hit.message)).collect()
}

async fn found(pool: &PgPool, who: &str, wanted: &SearchFor) -> Vec<(String, u64)> {
    let pages = pages(pool, who, wanted, LIMITS).await;
    pages.iter().flat_map(|page| places(&page.hits)).collect()
}

fn at(places: &[(&str, u64)]) -> Vec<(String, u64)> {
    places.iter().map(|(id, seq)| ((*id).to_owned(), *seq)).collect()
}

#[tokio::test]
async fn the_newest_conversation_comes_first_and_in_it_the_newest_message() {
    let mut log = Log::default();
    for (from, to, text) in [
        ("ann", "bob", "Grüße 1"),
        ("cid", "ann", "grusse 2"),
        ("ann", "bob", "other"),
        ("bob", "ann", "gruesse"),
        ("ann", "bob", "GRÜSSE 3"),
        ("bob", "cid", "grüße, not for ann"),
        ("ann", "dan", "nothing"),
    ] {
        log.send(from, to, text);
    }
    let pool = views_of(&log).await;
    let all = at(&[("d.ann.bob", 4), ("d.ann.bob", 1), ("d.ann.cid", 1)]);
    let wanted = words("grüsse");
    assert_eq!(found(&pool, "ann", &wanted).await, all);
    for (hits, sizes) in [(1, vec![1, 1, 1]), (2, vec![2, 1]), (3, vec![3])] {
        let pages = pages(&pool, "ann", &wanted, SearchLimits { hits, ..LIMITS }).await;
        let given: Vec<usize> = pages.iter().map(|page| page.hits.len()).collect();
        assert_eq!(given, sizes, "nothing is left, so there is no further page");
        let hits: Vec<_> = pages.iter().flat_map(|page| places(&page.hits)).collect();
        assert_eq!(hits, all);
    }
    let first = page(&pool, "ann", &wanted, None, LIMITS).await;
    assert_eq!(first.messages, 6);
    let history = history(&pool, &direct("ann", "bob"), &user("ann"), Page::Latest, 9).await;
    let shown = history.unwrap().unwrap().messages;
    assert_eq!(first.hits[0], Hit { message: shown[3].clone(), snippet: "GRÜSSE 3".to_owned() });
    assert!(found(&pool, "zoe", &wanted).await.is_empty());
    assert!(found(&pool, "ann", &words("grüsse nothing")).await.is_empty());
}

#[tokio::test]
async fn a_search_may_be_of_one_conversation_one_sender_and_a_time() {
    let mut log = Log::default();
    for _ in 0..3 {
        log.send("ann", "bob", "word");
        log.send("bob", "ann", "word");
        log.send("cid", "ann", "word");
    }
    let pool = views_of(&log).await;
    let of = |id: &ConversationId| SearchFor { conversation_id: Some(id.clone()), ..words("WORD") };
    let with_cid = at(&[("d.ann.cid", 3), ("d.ann.cid", 2), ("d.ann.cid", 1)]);
    assert_eq!(found(&pool, "ann", &of(&direct("ann", "cid"))).await, with_cid);
    assert!(found(&pool, "ann", &of(&direct("ann", "new"))).await.is_empty());
    let from = |name| SearchFor { sender_id: Some(user(name)), ..words("word") };
    assert_eq!(found(&pool, "ann", &from("cid")).await, with_cid);
    assert_eq!(
        found(&pool, "ann", &from("bob")).await,
        at(&[("d.ann.bob", 6), ("d.ann.bob", 4), ("d.ann.bob", 2)])
    );
    // Only conversations with that person are looked at.
    assert_eq!(page(&pool, "ann", &from("cid"), None, LIMITS).await.messages, 3);
    assert_eq!(page(&pool, "ann", &from("zoe"), None, LIMITS).await.messages, 0);
    // Both times are exclusive.
    let between =
        SearchFor { after: Some(Log::time_of(2)), before: Some(Log::time_of(6)), ..words("word") };
    assert_eq!(
        found(&pool, "ann", &between).await,
        at(&[("d.ann.cid", 1), ("d.ann.bob", 4), ("d.ann.bob", 3)])
    );
}

#[tokio::test]
async fn what_history_does_not_show_is_not_found() {
    let mut log = Log::default();
    let id = named(Kind::Group, 1);
    log.create(&id, "olga", &["mia"]);
    log.say(&id, "olga", "word 1");
    log.add(&id, "olga", "joe").unwrap();
    log.say(&id, "joe", "word 2");
    log.say(&id, "mia", "word 3");
    log.remove(&id, "joe", "joe").unwrap();
    log.say(&id, "olga", "word 4");
    let pool = views_of(&log).await;
    let seqs = async |who: &str, typed: &str| -> Vec<u64> {
        found(&pool, who, &words(typed)).await.into_iter().map(|(_, seq)| seq).collect()
    };
    assert_eq!(seqs("joe", "word").await, [3, 2]);
    assert_eq!(seqs("mia", "word").await, [4, 3, 2, 1]);

    log.add(&id, "olga", "joe").unwrap();
    log.say(&id, "olga", "word 5");
    log.send("joe", "mia", "word that is deleted");
    log.send("joe", "mia", "word that expires");
    log.send("joe", "mia", "before it was edited");
    log.delete("joe", "mia", 1);
    log.edit("joe", "mia", 3, "a word");
    catch_up(&pool, &log).await;
    sqlx::query("UPDATE messages SET expires_at = now() - interval '1 s' WHERE body ->> 'text' LIKE '%expires'")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(seqs("joe", "word").await, [3, 5, 3, 2]);
    assert!(seqs("mia", "before").await.is_empty());
    assert!(seqs("eve", "word").await.is_empty());
    let of = |id: &ConversationId| SearchFor { conversation_id: Some(id.clone()), ..words("word") };
    let strangers = [(of(&id), "eve"), (of(&direct("joe", "mia")), "eve")];
    for (wanted, who) in strangers {
        let found = search(&pool, SHARDS, &user(who), &wanted, None, LIMITS).await.unwrap();
        assert_eq!(found, None);
    }
    assert_eq!(found(&pool, "joe", &of(&id)).await.len(), 3);
}

#[tokio::test]
async fn a_page_ends_with_its_budget_and_the_next_goes_on() {
    let mut log = Log::default();
    for n in 0..120 {
        let other = format!("u{}", n % 7);
        log.send("ann", &other, if n % 40 == 5 { "needle" } else { "hay" });
    }
    let pool = views_of(&log).await;
    let wanted = words("needle");
    let all = found(&pool, "ann", &wanted).await;
    assert_eq!(all.len(), 3);
    let out_of_time = SearchLimits { time: Duration::ZERO, messages: 10, ..LIMITS };
    for limits in [SearchLimits { messages: 10, ..LIMITS }, out_of_time] {
        let pages = pages(&pool, "ann", &wanted, limits).await;
        assert!(pages.iter().all(|page| page.messages == 10));
        assert_eq!(pages.len(), 12);
        assert!(pages.iter().any(|page| page.hits.is_empty()));
        let hits: Vec<_> = pages.iter().flat_map(|page| places(&page.hits)).collect();
        assert_eq!(hits, all);
    }
}

#[tokio::test]
async fn what_comes_meanwhile_moves_nothing() {
    // One that was given already, one that is in the middle, one to come, and a new one.
    for other in ["dan", "cid", "bob", "eve"] {
        let mut log = Log::default();
        for other in ["bob", "cid", "dan"] {
            log.send("ann", other, "word");
            log.send(other, "ann", "word");
        }
        let pool = views_of(&log).await;
        let expected = found(&pool, "ann", &words("word")).await;
        assert_eq!(expected.len(), 6);
        let one = SearchLimits { hits: 1, ..LIMITS };
        let (mut cursor, mut given) = (None, Vec::new());
        loop {
            let next = page(&pool, "ann", &words("word"), cursor, one).await;
            given.extend(places(&next.hits));
            cursor = sent(next.next_cursor);
            if cursor.is_none() {
                break;
            }
            log.send(other, "ann", "word");
            log.send("ann", other, "word");
            catch_up(&pool, &log).await;
        }
        assert_eq!(given, expected, "{other}");
        // A search that begins now has them.
        let first = page(&pool, "ann", &words("word"), None, LIMITS).await;
        assert_eq!(first.hits[0].message.conversation_id, direct("ann", other));
    }
}

const PEOPLE: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const SAID: [&str; 7] = ["Äpfel", "apfel und Birnen", "birnen", "東京駅", "e\u{301}te", "ETE", "x"];
const SOUGHT: [&str; 6] = ["apfel", "BIRNE", "京駅", "été", "birnen apf", "x"];

/// Something that somebody does; much of it is refused.
fn step(log: &mut Log, random: &mut StdRng) {
    let who = *PEOPLE.choose(random).unwrap();
    let other = *PEOPLE.choose(random).unwrap();
    let text = *SAID.choose(random).unwrap();
    let kind = *[Kind::Group, Kind::Channel].choose(random).unwrap();
    let room = named(kind, random.random_range(1..3));
    let id = if who == other || random.random() { room.clone() } else { direct(who, other) };
    let last = log.states.get(&id).map_or(0, |state| state.last_seq);
    let conversation_seq = random.random_range(0..=last) + 1;
    let client_message_id = ClientMessageId::parse(&format!("c-{}", log.last())).unwrap();
    let body = if random.random_ratio(1, 5) {
        let card = serde_json::json!({"kind": "listing", "refId": "L", "title": text});
        serde_json::from_value(card).unwrap()
    } else {
        Body::Text { text: text.to_owned() }
    };
    match random.random_range(0..20) {
        0 => {
            let title = Title::parse("Market").unwrap();
            log.ask(&room, who, Action::Create { title, members: Vec::new() });
        }
        1 | 2 => {
            log.add(&room, who, other);
        }
        3 => {
            log.remove(&room, who, other);
        }
        4 => {
            log.ask(&id, who, Action::EditMessage { conversation_seq, body });
        }
        5 => {
            let delete = Action::DeleteMessage { conversation_seq, reason: None };
            log.ask(&id, who, delete);
        }
        6 => {
            log.ask(&id, who, Action::MarkRead { through_seq: conversation_seq });
        }
        _ => {
            let send = Action::SendMessage { client_message_id, body, reply_to: None };
            log.ask_as(Scope::User, &id, who, send);
        }
    }
}

/// Everything that history shows somebody, conversation by conversation as the inbox has them.
async fn readable(pool: &PgPool, who: &str) -> Vec<Message> {
    let conversations = inbox(pool, &user(who), Filter::All, 200, None).await.unwrap().summaries;
    let mut all = Vec::new();
    for summary in conversations {
        let id = summary.conversation_id;
        let page = history(pool, &id, &user(who), Page::Before(u64::MAX), 200).await.unwrap();
        let page = page.unwrap();
        assert_eq!(page.next_before_seq, None, "the test's conversations fit on a page");
        all.extend(page.messages.into_iter().rev());
    }
    all
}

/// The plain way to find out whether these texts, of no great variety, have all words.
fn has(message: &Message, typed: &str) -> bool {
    let plain = |text: &str| {
        let text = text.to_lowercase().replace('\u{301}', "");
        text.replace('ä', "a").replace('é', "e")
    };
    let texts = message.body.iter().flat_map(|body| body.texts());
    let text = plain(&texts.collect::<Vec<_>>().join("\n"));
    typed.split(' ').all(|word| text.contains(&plain(word)))
}

#[tokio::test]
async fn a_search_finds_what_a_reader_of_everything_would() {
    let mut random = random();
    for _ in 0..4 {
        let mut log = Log::default();
        for _ in 0..random.random_range(0..400) {
            step(&mut log, &mut random);
        }
        let pool = views_of(&log).await;
        for who in PEOPLE {
            let typed = *SOUGHT.choose(&mut random).unwrap();
            let mut expected = readable(&pool, who).await;
            expected.retain(|message| has(message, typed));
            let limits = SearchLimits {
                hits: random.random_range(1..8),
                messages: random.random_range(1..60),
                ..LIMITS
            };
            let mut cursor = None;
            let mut given: Vec<Message> = Vec::new();
            loop {
                let next = page(&pool, who, &words(typed), cursor, limits).await;
                assert!(next.hits.len() <= limits.hits as usize);
                assert!(next.messages <= u64::from(limits.messages));
                given.extend(next.hits.into_iter().map(|hit| hit.message));
                cursor = sent(next.next_cursor);
                if cursor.is_none() {
                    break;
                }
                // Life goes on; but nothing that was there is changed.
                for _ in 0..random.random_range(0..3) {
                    let other = *PEOPLE.iter().find(|name| **name != who).unwrap();
                    let id =
                        if random.random() { direct(who, other) } else { named(Kind::Group, 1) };
                    log.say(
                        &id,
                        if random.random() { who } else { other },
                        "Äpfel birnen 京駅 ete x",
                    );
                }
                catch_up(&pool, &log).await;
            }
            let mut places: Vec<_> = given.iter().map(place).collect();
            places.sort();
            let mut wanted: Vec<_> = expected.iter().map(place).collect();
            wanted.sort();
            assert_eq!(places, wanted, "{who} {typed}");
            given.sort_by_key(place);
            expected.sort_by_key(place);
            assert_eq!(given, expected, "shown as history shows them");
        }
    }
}

/// `hub` has so many messages in so many conversations, among 10,000 of other people; every
/// hundredth says `often`, one says `rarely`.
async fn crowd(pool: &PgPool, messages: i64, conversations: i64) {
    for statement in [
        "INSERT INTO conversations (shard, conversation_id, kind, position, version, last_seq, \
         created_at, updated_at, last_message_at) \
         SELECT n % 4, CASE WHEN n <= $2 THEN 'd.hub.u' || n ELSE 'd.t' || n || '.u' || n END, \
         'direct', 1, seqs, seqs, now(), now(), \
         date_trunc('milliseconds', now()) - n * 7919 % 1000000 * interval '1 s' \
         FROM generate_series(1, 10000 + $2) n, \
         LATERAL (SELECT CASE WHEN n <= $2 THEN $1 / $2 ELSE 1 END AS seqs) own",
        "INSERT INTO members (conversation_id, user_id, read_seq, delivered_seq) \
         SELECT conversation_id, split_part(conversation_id, '.', side + 1), 1, 1 \
         FROM conversations, generate_series(1, 2) side WHERE $1 + $2 > 0",
        "INSERT INTO messages (conversation_id, conversation_seq, version, position, fingerprint, \
         created_at, message_id, sender_id, client_message_id, body) \
         SELECT conversation_id, seq, seq, 1, 0, last_message_at - (last_seq - seq) * interval '1 s', \
         gen_random_uuid(), split_part(conversation_id, '.', 2), 'c-' || seq, \
         jsonb_build_object('kind', 'text', 'text', repeat('Schöne Grüße und bis bald, ', 4) || \
         CASE WHEN seq = 1 AND conversation_id = 'd.hub.u1' THEN 'Rarely' \
         WHEN hashtext(conversation_id || seq) % 100 = 0 THEN 'Often' ELSE '' END) \
         FROM conversations, generate_series(1, last_seq) seq WHERE $1 + $2 > 0",
        "INSERT INTO checkpoints (shard, position) SELECT s, 1 FROM generate_series(0, 3) s \
         WHERE $1 + $2 > 0",
    ] {
        sqlx::query(statement).bind(messages).bind(conversations).execute(pool).await.unwrap();
    }
    sqlx::query("ANALYZE").execute(pool).await.unwrap();
}

/// Prints how long searches take: `PARLEY_TEST_SEARCH_MESSAGES=100000 cargo test --release -p
/// parley-projections --test it -- --nocapture search::a_search_reads`.
#[tokio::test]
async fn a_search_reads_what_it_must_and_no_more() {
    let given = std::env::var("PARLEY_TEST_SEARCH_MESSAGES").ok();
    let messages: i64 = given.and_then(|text| text.parse().ok()).unwrap_or(6_000);
    for conversations in [10, 1_000] {
        let pool = lone_views().await;
        crowd(&pool, messages, conversations).await;
        for (what, typed, hits) in [
            ("a common word", "oft", 20),
            ("one message of all", "RARELY", 20),
            ("nothing", "grusse never", 20),
        ] {
            let wanted = words(typed);
            let limits = SearchLimits { hits, ..LIMITS };
            let before = rows_read(&pool).await;
            let began = Instant::now();
            let first = page(&pool, "hub", &wanted, None, limits).await;
            let of_first = began.elapsed();
            let after = rows_read(&pool).await;
            let read = |table: &str| after[table] - before[table];
            // Beside what is looked at: the planner looks at some rows, too.
            let looked_at = i64::try_from(first.messages).unwrap();
            assert!(read("messages") <= looked_at + 200, "{what}: {}", read("messages"));
            assert!(read("members") <= 2 * conversations + 200, "{}", read("members"));
            assert!(read("conversations") <= conversations + 200, "{}", read("conversations"));
            let (mut pages, mut cursor) = (1, sent(first.next_cursor));
            let (mut found, mut all) = (first.hits.len(), first.messages);
            while let Some(place) = cursor.take().filter(|_| typed != "oft") {
                let next = page(&pool, "hub", &wanted, Some(place), limits).await;
                found += next.hits.len();
                all += next.messages;
                pages += 1;
                cursor = sent(next.next_cursor);
            }
            println!(
                "{messages} messages in {conversations} conversations, {what}: first page {} messages \
                 in {of_first:?}; {found} found on {pages} pages in {:?}",
                first.messages,
                began.elapsed(),
            );
            assert!(typed == "oft" || all == u64::try_from(messages).unwrap(), "{what}: {all}");
            assert_eq!(
                found,
                match typed {
                    "oft" => 20,
                    "RARELY" => 1,
                    _ => 0,
                },
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn a_cursor_that_nobody_gave_out_finds_nothing_that_is_not_ones_own() {
    let mut log = Log::default();
    log.send("bob", "cid", "word");
    log.send("ann", "bob", "word");
    let pool = views_of(&log).await;
    let of_bob = page(&pool, "bob", &words("word"), None, SearchLimits { hits: 1, ..LIMITS }).await;
    let stolen = sent(of_bob.next_cursor);
    let found = page(&pool, "ann", &words("word"), stolen, LIMITS).await;
    assert_eq!(places(&found.hits), at(&[]));
}
