//! Files on their way, a little of each in memory and none for longer than it may take.

use std::io;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::{
    fs::File,
    io::AsyncReadExt,
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::{metrics, slots::Slot, store::Unfinished};
use crate::config::TransferBounds;

/// What is read from the disk at once; two of them wait for a reader.
const CHUNK_BYTES: usize = 32 * 1_024;

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum NotReceived {
    #[error("the file has more bytes than was said")]
    TooLong,
    #[error("the file has {received} bytes, fewer than was said")]
    TooShort { received: u64 },
    #[error("the file did not come in time")]
    TooSlow,
    #[error("the connection broke off")]
    BrokenOff,
    #[error("the file cannot be written: {0}")]
    Disk(#[from] io::Error),
}

/// Writes what comes: exactly `size` bytes of it.
///
/// # Errors
/// If it is not, or something breaks; what has been written is worth nothing then.
pub async fn receive(
    body: &mut Body,
    unfinished: &mut Unfinished,
    size: u64,
    bounds: TransferBounds,
) -> Result<(), NotReceived> {
    let receiving = async {
        let mut received = 0_u64;
        loop {
            let frame = timeout(bounds.stall, body.frame()).await;
            let Some(frame) = frame.map_err(|_| NotReceived::TooSlow)? else { break };
            let Ok(data) = frame.map_err(|_| NotReceived::BrokenOff)?.into_data() else { continue };
            received = received.saturating_add(data.len() as u64);
            if received > size {
                return Err(NotReceived::TooLong);
            }
            unfinished.write(&data).await?;
        }
        if received < size { Err(NotReceived::TooShort { received }) } else { Ok(()) }
    };
    timeout(bounds.transfer, receiving).await.map_err(|_| NotReceived::TooSlow)?
}

/// The next `length` bytes of a file as a body. A reader that takes nothing for long is given up, and
/// its place with it.
pub fn send(file: File, length: u64, bounds: TransferBounds, slot: Slot) -> Body {
    let (chunks, body) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(error) = read(file, length, bounds, &chunks).await {
            tracing::debug!(%error, "a file was not sent to its end");
        }
        drop(slot);
    });
    Body::from_stream(stream::unfold((body, length), async |(mut body, left)| {
        match body.recv().await {
            Some(chunk) => {
                let left = left.saturating_sub(chunk.len() as u64);
                Some((Ok(chunk), (body, left)))
            }
            // The length was promised: nobody is to take this for all of it.
            None if left > 0 => {
                Some((Err(io::Error::from(io::ErrorKind::UnexpectedEof)), (body, 0)))
            }
            None => None,
        }
    }))
}

async fn read(
    file: File,
    length: u64,
    bounds: TransferBounds,
    chunks: &mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let end = Instant::now() + bounds.transfer;
    let too_slow = || io::Error::new(io::ErrorKind::TimedOut, "nobody reads");
    let mut file = file.take(length);
    let mut left = length;
    while left > 0 {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let count = file.read_buf(&mut chunk).await? as u64;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is too short"));
        }
        left = left.saturating_sub(count);
        metrics::BYTES.with_label_values(&["out"]).inc_by(count);
        let stalled = (Instant::now() + bounds.stall).min(end);
        match timeout_at(stalled, chunks.send(chunk.freeze())).await {
            Ok(Ok(())) => {}
            // They have gone.
            Ok(Err(_)) => return Ok(()),
            Err(_) => return Err(too_slow()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parley_runtime::engines::testing::ScratchDir;

    use super::*;
    use crate::attachments::{slots::Slots, store::Store};

    const BOUNDS: TransferBounds = TransferBounds {
        uploads: 1,
        downloads: 1,
        transfer: Duration::from_secs(20),
        stall: Duration::from_millis(50),
    };

    async fn received(body: Body, size: u64) -> Result<(), NotReceived> {
        let scratch = ScratchDir::new();
        let store = Store::open(scratch.path()).await.unwrap();
        let mut unfinished = store.begin().await.unwrap();
        let (mut body, bounds) = (body, BOUNDS);
        receive(&mut body, &mut unfinished, size, bounds).await
    }

    #[tokio::test]
    async fn what_comes_is_exactly_as_long_as_was_said() {
        assert!(received(Body::from("hello"), 5).await.is_ok());
        assert!(matches!(received(Body::from("hello"), 4).await, Err(NotReceived::TooLong)));
        let short = received(Body::from("hello"), 6).await;
        assert!(matches!(short, Err(NotReceived::TooShort { received: 5 })));
    }

    #[tokio::test]
    async fn who_sends_nothing_is_given_up() {
        let silent = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        assert!(matches!(received(silent, 5).await, Err(NotReceived::TooSlow)));
    }

    #[tokio::test]
    async fn a_part_is_sent_and_who_does_not_read_is_given_up() {
        let scratch = ScratchDir::new();
        let path = scratch.path().join("file");
        let content: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let slots = Slots::new(1);
        let free = async || {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            loop {
                if let Some(slot) = slots.take("ann") {
                    return slot;
                }
                ticks.tick().await;
            }
        };
        let free = async || timeout(Duration::from_secs(10), free()).await.unwrap();
        let slot = free().await;
        let file = File::open(&path).await.unwrap();
        let body = send(file, 150_000, BOUNDS, slot).collect().await.unwrap().to_bytes();
        assert_eq!(body, content[..150_000]);
        let slot = free().await;
        let unread = send(File::open(&path).await.unwrap(), 200_000, BOUNDS, slot);
        let slot = free().await;
        assert!(unread.collect().await.is_err());
        // Shorter than it should be: nobody takes it for whole.
        let cut = send(File::open(&path).await.unwrap(), 200_001, BOUNDS, slot);
        assert!(cut.collect().await.is_err());
    }
}
