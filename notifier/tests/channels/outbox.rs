//! Where nothing goes out.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use parley_notifier::{
    channels::{Address, ChannelKind, Channels},
    notice::{Proof, What},
    outbox::read,
};

use crate::support::{channels, close, digest, endpoint, verify};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("parley-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("outbox.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn outbox(file: &Path, items: &str) -> Channels {
    channels(&[
        ("PARLEY_NOTIFY_OUTBOX_FILE", file.to_str().unwrap()),
        ("PARLEY_NOTIFY_OUTBOX_ITEMS", items),
    ])
}

fn email() -> Address {
    Address::Email("bob@example.com".to_owned())
}

async fn put(channels: &Channels, address: Address, what: &What) {
    channels.send(&endpoint(address), what).await.unwrap();
}

#[tokio::test]
async fn everything_that_would_have_gone_out_is_there_once() {
    let folder = Folder::new("outbox-once");
    let push = || Address::WebPush {
        endpoint: "https://push.example/abc".to_owned(),
        p256dh: String::new(),
        auth: String::new(),
    };
    for _ in 0..2 {
        // A restart in between makes no difference.
        let channels = outbox(&folder.file(), "1000");
        assert!(ChannelKind::ALL.into_iter().all(|channel| channels.serves(channel)));
        for _ in 0..2 {
            put(&channels, email(), &digest(1)).await;
            put(&channels, Address::Phone("+4915112345678".to_owned()), &digest(1)).await;
            put(&channels, push(), &digest(1)).await;
            put(&channels, push(), &close(1)).await;
            put(&channels, Address::Webhook { url: "https://a.example/".to_owned() }, &digest(1))
                .await;
            put(&channels, email(), &verify(2, Proof::Link("https://a.example/v".to_owned())))
                .await;
        }
    }
    let items = read(&folder.file()).unwrap();
    let told: Vec<(ChannelKind, &str)> =
        items.iter().map(|item| (item.channel, item.what.as_str())).collect();
    assert_eq!(
        told,
        [
            (ChannelKind::Email, "digest"),
            (ChannelKind::Sms, "digest"),
            (ChannelKind::WebPush, "digest"),
            (ChannelKind::WebPush, "close"),
            (ChannelKind::Webhook, "digest"),
            (ChannelKind::Email, "verify"),
        ]
    );
    assert_eq!(items[0].subject.as_deref(), Some("20 new messages from Alice"));
    assert!(items[0].html.as_ref().unwrap().contains("Is the bike still there?"));
    assert_eq!(items[0].headers["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
    assert_eq!(items[1].to, "+4915112345678");
    assert_eq!(items[2].headers["TTL"], "86400");
    assert!(items[5].text.contains("https://a.example/v"));
}

#[tokio::test]
async fn a_line_that_a_crash_cut_off_is_written_again() {
    let folder = Folder::new("outbox-torn");
    let file = folder.file();
    for id in 0..3 {
        put(&outbox(&file, "1000"), email(), &digest(id)).await;
    }
    let whole = std::fs::read(&file).unwrap();
    let line = whole.split_inclusive(|b| *b == b'\n').next_back().unwrap().len();
    // Wherever the last line ends.
    for kept in (whole.len() - line..whole.len()).step_by(97) {
        std::fs::write(&file, &whole[..kept]).unwrap();
        assert_eq!(read(&file).unwrap().len(), 2, "{kept}");
        let channels = outbox(&file, "1000");
        put(&channels, email(), &digest(1)).await;
        put(&channels, email(), &digest(2)).await;
        let ids: Vec<u128> =
            read(&file).unwrap().iter().map(|item| item.notification_id.as_u128()).collect();
        assert_eq!(ids, [0, 1, 2]);
    }
}

#[tokio::test]
async fn many_at_once_are_all_there_and_the_oldest_go() {
    let folder = Folder::new("outbox-many");
    let file = folder.file();
    let channels = outbox(&file, "20");
    let bob = endpoint(email());
    for chunk in 0..5 {
        let sending = (0..20_u128).map(|id| {
            let (channels, bob) = (&channels, &bob);
            async move { channels.send(bob, &digest(chunk * 20 + id)).await }
        });
        for sent in futures_util::future::join_all(sending).await {
            sent.unwrap();
        }
    }
    let items = read(&file).unwrap();
    assert!((20..=40).contains(&items.len()), "{}", items.len());
    assert!(items.iter().rev().take(20).all(|item| item.notification_id.as_u128() >= 80));
}

#[tokio::test]
async fn an_outbox_that_is_none_is_not_written_over() {
    let folder = Folder::new("outbox-foreign");
    let mut file = std::fs::File::create(folder.file()).unwrap();
    file.write_all(b"a diary\n").unwrap();
    assert!(read(&folder.file()).is_err());
    let opened = std::panic::catch_unwind(|| outbox(&folder.file(), "10"));
    assert!(opened.is_err());
    assert_eq!(std::fs::read(folder.file()).unwrap(), b"a diary\n");
}
