//! What a person did to their own view of conversations, and what their devices learn of it.

use parley_domain::{
    Timestamp,
    account::{Action, Address, EndpointState, Settings},
};
use parley_projections::{
    queries::{
        AccountState, Filter, InboxCursor, SyncLimits, account_version, contact, contacts,
        endpoints, inbox, settings, summary, sync_page,
    },
    views::Summary,
};
use sqlx::PgPool;

use crate::{
    log::{Log, direct, user},
    support::{catch_up, views_of},
};

fn far() -> Timestamp {
    Timestamp::parse("2999-01-01T00:00:00Z").unwrap()
}

/// Of ann.
fn ask(log: &mut Log, action: Action) {
    log.ask_account("ann", action).unwrap();
}

fn pin(other: &str) -> Action {
    Action::Pin { conversation_id: direct("ann", other) }
}

fn archive(other: &str, through_seq: u64) -> Action {
    Action::Archive { conversation_id: direct("ann", other), through_seq }
}

fn draft(other: &str, text: &str) -> Action {
    let text = text.to_owned();
    Action::SaveDraft { conversation_id: direct("ann", other), text, saved_at: None }
}

/// Whom ann talks with, in pages of `limit`.
async fn shown(pool: &PgPool, filter: Filter, limit: u32) -> Vec<String> {
    let mut others = Vec::new();
    let mut cursor = None;
    loop {
        let page = inbox(pool, &user("ann"), filter, limit, cursor.as_ref()).await.unwrap();
        others.extend(page.summaries.iter().map(|shown| {
            let [_, other] = shown.conversation_id.direct_members().unwrap();
            other.to_string()
        }));
        match page.next_cursor {
            Some(next) => cursor = Some(InboxCursor::parse(&next.to_string()).unwrap()),
            None => return others,
        }
    }
}

async fn one(pool: &PgPool, who: &str, other: &str) -> Summary {
    let found = summary(pool, &direct("ann", other), &user(who), far()).await.unwrap();
    found.unwrap()
}

async fn told(pool: &PgPool, after: Option<u64>) -> Option<AccountState> {
    let since = after.map(|after| [0, 0, 0, after]);
    let limits = SyncLimits { max_conversations: 50, max_messages: 50 };
    let since = since.as_ref().map(<[u64; 4]>::as_slice);
    sync_page(pool, 4, &user("ann"), since, None, limits).await.unwrap().account
}

#[tokio::test]
async fn pinned_conversations_come_first_and_the_pages_meet_between() {
    let mut log = Log::default();
    for other in ["bob", "cid", "dan", "eve", "fay"] {
        log.send(other, "ann", "hello");
    }
    ask(&mut log, pin("bob"));
    ask(&mut log, pin("dan"));
    let pool = views_of(&log).await;
    for limit in 1..=6 {
        let others = shown(&pool, Filter::All, limit).await;
        assert_eq!(others, ["dan", "bob", "fay", "eve", "cid"], "{limit}");
    }
    assert!(one(&pool, "ann", "bob").await.pinned);
    // It is ann's view alone.
    assert!(!one(&pool, "bob", "bob").await.pinned);
    ask(&mut log, Action::Unpin { conversation_id: direct("ann", "dan") });
    catch_up(&pool, &log).await;
    assert_eq!(shown(&pool, Filter::All, 2).await, ["bob", "fay", "eve", "dan", "cid"]);
}

#[tokio::test]
async fn an_archived_conversation_comes_back_with_the_next_message() {
    let mut log = Log::default();
    for other in ["bob", "cid"] {
        log.send(other, "ann", "hello");
    }
    ask(&mut log, archive("bob", 1));
    let pool = views_of(&log).await;
    assert_eq!(shown(&pool, Filter::All, 9).await, ["cid"]);
    assert_eq!(shown(&pool, Filter::Unread, 9).await, ["cid"]);
    assert_eq!(shown(&pool, Filter::Archived, 9).await, ["bob"]);
    assert!(one(&pool, "ann", "bob").await.archived);
    // A device that begins learns of all of them.
    let limits = SyncLimits { max_conversations: 1, max_messages: 9 };
    let first = sync_page(&pool, 4, &user("ann"), None, None, limits).await.unwrap();
    let second = sync_page(&pool, 4, &user("ann"), None, first.next, limits).await.unwrap();
    assert!(second.conversations[0].conversation.archived);
    // Reading is not a message.
    log.read("ann", "bob", 1);
    catch_up(&pool, &log).await;
    assert!(one(&pool, "ann", "bob").await.archived);
    log.send("bob", "ann", "hello again");
    catch_up(&pool, &log).await;
    assert_eq!(shown(&pool, Filter::All, 9).await, ["bob", "cid"]);
    assert_eq!(shown(&pool, Filter::Archived, 9).await, Vec::<String>::new());
    assert!(!one(&pool, "ann", "bob").await.archived);
}

#[tokio::test]
async fn a_mute_ends_by_itself() {
    let mut log = Log::default();
    log.send("bob", "ann", "hello");
    let conversation_id = direct("ann", "bob");
    let until = Timestamp::from_unix_millis(Log::time_of(2).unix_millis() + 1);
    ask(&mut log, Action::Mute { conversation_id: conversation_id.clone(), until: Some(until) });
    let pool = views_of(&log).await;
    let now = one(&pool, "ann", "bob").await;
    assert_eq!((now.muted, now.muted_until), (false, None));
    ask(&mut log, Action::Mute { conversation_id: conversation_id.clone(), until: Some(far()) });
    catch_up(&pool, &log).await;
    let now = one(&pool, "ann", "bob").await;
    assert_eq!((now.muted, now.muted_until), (true, Some(far())));
    ask(&mut log, Action::Mute { conversation_id: conversation_id.clone(), until: None });
    catch_up(&pool, &log).await;
    let now = one(&pool, "ann", "bob").await;
    assert_eq!((now.muted, now.muted_until), (true, None));
    ask(&mut log, Action::Unmute { conversation_id });
    catch_up(&pool, &log).await;
    assert!(!one(&pool, "ann", "bob").await.muted);
}

#[tokio::test]
async fn a_draft_is_there_before_the_first_message() {
    let mut log = Log::default();
    ask(&mut log, draft("bob", "shall we"));
    ask(&mut log, pin("bob"));
    let pool = views_of(&log).await;
    let before = one(&pool, "ann", "bob").await;
    assert_eq!((before.draft.as_deref(), before.pinned), (Some("shall we"), true));
    assert_eq!(one(&pool, "bob", "bob").await.draft, None);
    log.send("bob", "ann", "hello");
    catch_up(&pool, &log).await;
    assert_eq!(one(&pool, "ann", "bob").await.draft.as_deref(), Some("shall we"));
    ask(&mut log, Action::ClearDraft { conversation_id: direct("ann", "bob"), saved_at: None });
    catch_up(&pool, &log).await;
    assert_eq!(one(&pool, "ann", "bob").await.draft, None);
}

#[tokio::test]
async fn contacts_settings_and_endpoints_are_shown_as_they_are() {
    let mut log = Log::default();
    ask(&mut log, Action::AddContact { user_id: user("cid") });
    ask(&mut log, Action::AddContact { user_id: user("bob") });
    let settings_now = Settings { locale: "de".to_owned(), ..Settings::default() };
    ask(&mut log, Action::SetPreferences { settings: settings_now.clone() });
    let address = Address::Email("ann@example.com".to_owned());
    ask(&mut log, Action::AddEndpoint { address: address.clone(), verified: false });
    let pool = views_of(&log).await;
    let known = contacts(&pool, &user("ann")).await.unwrap();
    let names: Vec<&str> = known.iter().map(|contact| contact.user_id.as_str()).collect();
    assert_eq!(names, ["bob", "cid"]);
    assert_eq!(known[0].added_at, Log::time_of(2));
    assert_eq!(contact(&pool, &user("ann"), &user("bob")).await.unwrap().as_ref(), known.first());
    assert_eq!(contact(&pool, &user("bob"), &user("ann")).await.unwrap(), None);
    assert_eq!(settings(&pool, &user("ann")).await.unwrap(), settings_now);
    assert_eq!(settings(&pool, &user("bob")).await.unwrap(), Settings::default());
    let found = endpoints(&pool, &user("ann")).await.unwrap();
    assert_eq!((&found[0].address, found[0].state), (&address, EndpointState::Pending));
    assert_eq!(account_version(&pool, &user("ann")).await.unwrap(), 4);
    assert_eq!(account_version(&pool, &user("bob")).await.unwrap(), 0);
    let endpoint_id = found[0].endpoint_id;
    ask(&mut log, Action::VerifyEndpoint { endpoint_id });
    ask(&mut log, Action::RemoveContact { user_id: user("cid") });
    catch_up(&pool, &log).await;
    let found = endpoints(&pool, &user("ann")).await.unwrap();
    assert_eq!((found[0].state, found[0].added_at), (EndpointState::Verified, Log::time_of(4)));
    assert_eq!(contacts(&pool, &user("ann")).await.unwrap().len(), 1);
    ask(&mut log, Action::RemoveEndpoint { endpoint_id });
    catch_up(&pool, &log).await;
    assert!(endpoints(&pool, &user("ann")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_device_learns_of_the_marks_that_changed_and_of_those_taken_back() {
    let mut log = Log::default();
    ask(&mut log, pin("bob"));
    ask(&mut log, draft("cid", "x"));
    ask(&mut log, Action::AddContact { user_id: user("bob") });
    let pool = views_of(&log).await;
    let marked = |told: &AccountState| -> Vec<(String, bool, Option<String>)> {
        let marks = told.marks.iter();
        marks
            .map(|mark| (mark.conversation_id.to_string(), mark.pinned, mark.draft.clone()))
            .collect()
    };
    let all = told(&pool, None).await.unwrap();
    assert_eq!(
        marked(&all),
        [("d.ann.bob".into(), true, None), ("d.ann.cid".into(), false, Some("x".into()))]
    );
    assert_eq!((all.contacts.len(), all.version), (1, 3));
    let later = told(&pool, Some(1)).await.unwrap();
    assert_eq!(marked(&later), [("d.ann.cid".into(), false, Some("x".into()))]);
    assert_eq!(told(&pool, Some(2)).await.unwrap().marks, []);
    assert_eq!(told(&pool, Some(3)).await, None);
    ask(&mut log, Action::Unpin { conversation_id: direct("ann", "bob") });
    catch_up(&pool, &log).await;
    let later = told(&pool, Some(3)).await.unwrap();
    assert_eq!(marked(&later), [("d.ann.bob".into(), false, None)]);
    // One who begins does not hear of what was taken back.
    assert_eq!(told(&pool, None).await.unwrap().marks.len(), 1);
}
