//! What would have gone out: where nothing may, as under `parley up`, each thing becomes a line of
//! a file that `GET /dev/outbox` shows.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use parley_domain::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    channels::{
        Address, ChannelKind, Failed,
        email::{Letter, Sender},
        failed, sms,
        web_push::Push,
        webhook::Message,
    },
    notice::What,
};

/// One thing that would have gone out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    pub notification_id: Uuid,
    pub channel: ChannelKind,
    /// `digest`, `verify` or `close`.
    pub what: String,
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The payload of a push before it is encrypted, and the body of a webhook.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    pub at: Timestamp,
}

/// What makes two items one.
type Name = (Uuid, ChannelKind, String, String);

impl Item {
    /// What a channel would have sent, made by the channel itself.
    pub(crate) fn of(
        sender: &Sender,
        push_ttl: Duration,
        address: &Address,
        what: &What,
        at: Timestamp,
    ) -> Result<Self, Failed> {
        let (to, subject, text, html, headers) = match address {
            Address::Email(to) => {
                let letter = Letter::compose(sender, to, what).map_err(failed)?;
                let Letter { to, subject, text, html, headers } = letter;
                (to, Some(subject), text, Some(html), headers)
            }
            Address::Phone(to) => {
                let text = sms::compose(&sender.brand, what).map_err(failed)?;
                (to.clone(), None, text, None, Vec::new())
            }
            Address::WebPush { endpoint, .. } => {
                let push = Push::compose(what).map_err(failed)?;
                let headers = push.headers(push_ttl).to_vec();
                (endpoint.clone(), push.title, push.payload, None, headers)
            }
            Address::Webhook { url } => {
                let message = Message::compose(what).map_err(failed)?;
                (url.clone(), None, message.body, None, vec![("webhook-id", message.id)])
            }
        };
        Ok(Self {
            notification_id: what.notification_id(),
            channel: address.channel(),
            what: what.name().to_owned(),
            to,
            subject,
            text,
            html,
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            at,
        })
    }

    fn name(&self) -> Name {
        (self.notification_id, self.channel, self.what.clone(), self.to.clone())
    }
}

/// A file with an item a line, the newest last. One process writes it.
#[derive(Debug, Clone)]
pub struct Outbox {
    path: PathBuf,
    /// The newest that are kept. The file is written anew at twice as many.
    items: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Of the whole lines.
    bytes: u64,
    lines: usize,
    known: HashSet<Name>,
}

impl Outbox {
    /// Opens or makes the file. A line that a crash cut off goes away: whoever wrote it was not
    /// told that it is there, and writes it again.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path, items: usize) -> io::Result<Self> {
        let kept = match read(path) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let state = State::write(path, &newest(kept, items))?;
        Ok(Self { path: path.to_owned(), items, state: Arc::new(Mutex::new(state)) })
    }

    /// Adds an item, durably, unless it is there.
    pub(crate) async fn put(&self, item: Item) -> io::Result<()> {
        let outbox = self.clone();
        tokio::task::spawn_blocking(move || outbox.put_now(&item)).await?
    }

    fn put_now(&self, item: &Item) -> io::Result<()> {
        let name = item.name();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.known.contains(&name) {
            return Ok(());
        }
        if state.lines >= self.items.saturating_mul(2) {
            *state = State::write(&self.path, &newest(read(&self.path)?, self.items))?;
        }
        let mut line = serde_json::to_vec(item)?;
        line.push(b'\n');
        // If this fails half way, the next line is written over what there is of this one.
        state.file.write_all_at(&line, state.bytes)?;
        state.file.sync_data()?;
        state.bytes += line.len() as u64;
        state.lines += 1;
        state.known.insert(name);
        Ok(())
    }
}

impl State {
    /// Writes the file anew: there is always either the old one or the new one.
    fn write(path: &Path, items: &[Item]) -> io::Result<Self> {
        let fresh = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        let mut lines = Vec::new();
        for item in items {
            serde_json::to_writer(&mut lines, item)?;
            lines.push(b'\n');
        }
        file.write_all(&lines)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        let known = items.iter().map(Item::name).collect();
        Ok(Self { file, bytes: lines.len() as u64, lines: items.len(), known })
    }
}

fn newest(mut items: Vec<Item>, most: usize) -> Vec<Item> {
    let too_many = items.len().saturating_sub(most);
    items.drain(..too_many);
    items
}

/// The items of a file, the oldest first; while another process writes it, too.
///
/// # Errors
/// If the file cannot be read; one that is not there has kind `NotFound`.
pub fn read(path: &Path) -> io::Result<Vec<Item>> {
    let mut lines = BufReader::new(File::open(path)?);
    let mut items = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        // The end, or a line that is being written.
        if line.pop() != Some(b'\n') {
            return Ok(items);
        }
        items.push(serde_json::from_slice(&line)?);
    }
}
