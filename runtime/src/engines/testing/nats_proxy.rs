//! A bad network between a client and a nats-server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::or_panic;

/// Stands between clients and a nats-server, and hurts their connections when told to: cuts them,
/// holds their bytes back, or loses messages on their way to the client.
///
/// It lives on the runtime of its test.
pub struct NatsProxy {
    url: String,
    state: watch::Sender<State>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Connections of an earlier one are cut.
    epoch: u64,
    paused: bool,
    loss: Loss,
}

/// Which messages are lost.
#[derive(Debug, Clone, Copy, Default)]
enum Loss {
    #[default]
    None,
    /// Pseudo-random, one of so many.
    OneIn(u64),
    All,
}

impl NatsProxy {
    /// In front of the server at `url`, as [`super::TestNats::url`] says it.
    pub async fn start(url: &str) -> Self {
        let server = url.trim_start_matches("nats://").to_owned();
        let listener = or_panic("a proxy", TcpListener::bind("127.0.0.1:0").await);
        let address = or_panic("a proxy's address", listener.local_addr());
        let (state, watched) = watch::channel(State::default());
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, server.clone(), watched.clone(), Arc::clone(&counter)));
            }
        });
        Self { url: format!("nats://{address}"), state, dropped }
    }

    /// For clients; `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Ends every connection; new ones are let through.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.epoch += 1);
    }

    /// Holds back what both sides say: the connections stay open and nothing arrives, as when a
    /// process is frozen.
    pub fn pause(&self) {
        self.state.send_modify(|state| state.paused = true);
    }

    /// Ends [`Self::pause`]; what was said meanwhile arrives.
    pub fn resume(&self) {
        self.state.send_modify(|state| state.paused = false);
    }

    /// Loses about one of `count` messages to the client, whatever they are: deliveries, answers,
    /// signs of life.
    pub fn lose_one_in(&self, count: u64) {
        self.state.send_modify(|state| state.loss = Loss::OneIn(count.max(1)));
    }

    /// Loses every message to the client.
    pub fn lose_all(&self) {
        self.state.send_modify(|state| state.loss = Loss::All);
    }

    /// Ends the loss of messages.
    pub fn lose_none(&self) {
        self.state.send_modify(|state| state.loss = Loss::None);
    }

    /// How many messages were lost.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Joins a client with the server until one of them goes or the connection is cut.
async fn join(
    client: TcpStream,
    server: String,
    mut state: watch::Receiver<State>,
    dropped: Arc<AtomicU64>,
) {
    let epoch = state.borrow().epoch;
    let Ok(server) = TcpStream::connect(server).await else { return };
    for stream in [&client, &server] {
        // Only a matter of speed.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = (state.clone(), state.clone());
    // All of these mean the same: both sockets are closed.
    tokio::select! {
        _ = copy(from_client, to_server, up) => {}
        _ = filter(from_server, to_client, down, &dropped) => {}
        _ = state.wait_for(|state| state.epoch != epoch) => {}
    }
}

/// Waits while bytes are held back; says which messages are lost now. An error once the proxy is gone.
async fn held(state: &mut watch::Receiver<State>) -> io::Result<Loss> {
    match state.wait_for(|state| !state.paused).await {
        Ok(state) => Ok(state.loss),
        Err(_) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1_024];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        held(&mut state).await?;
        to.write_all(&bytes[..count]).await?;
    }
}

/// Copies the server's side of the protocol frame by frame, without the messages that are lost.
async fn filter(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    dropped: &AtomicU64,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut random = 1;
    let mut frame = Vec::new();
    loop {
        frame.clear();
        if from.read_until(b'\n', &mut frame).await? == 0 {
            return Ok(());
        }
        let payload = payload_bytes(&frame);
        if let Some(bytes) = payload {
            let line = frame.len();
            frame.resize(line + bytes, 0);
            from.read_exact(&mut frame[line..]).await?;
        }
        let loss = held(&mut state).await?;
        let is_lost = match loss {
            Loss::None => false,
            Loss::OneIn(count) => next(&mut random).is_multiple_of(count),
            Loss::All => true,
        };
        if payload.is_some() && is_lost {
            dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            to.write_all(&frame).await?;
        }
    }
}

/// How many bytes follow the line of a message (`MSG` or `HMSG`); `None` for any other line.
fn payload_bytes(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    if !line.starts_with("MSG ") && !line.starts_with("HMSG ") {
        return None;
    }
    let size: usize = line.split_whitespace().next_back()?.parse().ok()?;
    Some(size + b"\r\n".len())
}

/// The same losses in each run (xorshift64).
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

#[cfg(test)]
mod tests {
    use super::payload_bytes;

    #[test]
    fn messages_are_told_from_other_lines() {
        assert_eq!(payload_bytes(b"MSG a.b 7 5\r\n"), Some(7));
        assert_eq!(payload_bytes(b"MSG a.b 7 reply.to 11\r\n"), Some(13));
        assert_eq!(payload_bytes(b"HMSG a.b 7 reply.to 12 30\r\n"), Some(32));
        assert_eq!(payload_bytes(b"INFO {\"port\":4222}\r\n"), None);
        assert_eq!(payload_bytes(b"PING\r\n"), None);
    }
}
