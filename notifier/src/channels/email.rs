//! Email over SMTP.
//!
//! The connection is lettre's; the pool is not: lettre's takes a connection back whose sender was
//! dropped in the middle of a letter, and knows no time limit once connected. Going step by step
//! also tells how far a letter came, which is what decides whether it may be sent again.

mod connection;
mod error;
mod letter;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        dkim::DkimConfig,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
    },
};
use tokio::{sync::Semaphore, time::Instant};

pub use self::{
    error::{Error, Step},
    letter::{Letter, Sender},
};
use super::Sent;

/// How a connection is made private.
#[derive(Clone)]
pub enum Security {
    /// Not at all: for a server on this machine.
    None,
    /// Plain at first; never without the upgrade.
    StartTls(TlsParameters),
    /// From the first byte.
    Tls(TlsParameters),
}

/// The server and what it needs to know of us.
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub credentials: Option<Credentials>,
    pub from: Mailbox,
    /// How we call ourselves in `EHLO`.
    pub hello: ClientId,
    /// For each step: connecting, each command, the letter.
    pub step_timeout: Duration,
    /// At the same time.
    pub connections: usize,
    /// How long one is kept for the next letter.
    pub idle: Duration,
    pub dkim: Option<DkimConfig>,
}

/// Sends letters by one server.
pub struct Email {
    settings: Settings,
    /// Open and free, the freshest last.
    idle: Mutex<Vec<Idle>>,
    /// One for each connection that may be open.
    slots: Semaphore,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Email {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let slots = Semaphore::new(settings.connections);
        Self { settings, idle: Mutex::default(), slots }
    }

    /// Hands a letter to the server.
    ///
    /// # Errors
    /// By how far it came.
    pub async fn send(&self, letter: &Letter, at: std::time::SystemTime) -> Result<Sent, Error> {
        let to: Address = letter.to.parse().map_err(|_| Error::Address)?;
        let message = self.message(letter, to.clone(), at)?;
        let slot = tokio::time::timeout(self.settings.step_timeout, self.slots.acquire());
        let Ok(Ok(_slot)) = slot.await else { return Err(Error::Busy) };
        let mut connection = self.connect().await?;
        self.deliver(&mut connection, to, &message.formatted()).await?;
        // Only a connection on which all went well is used again.
        self.put_back(connection);
        Ok(Sent::default())
    }

    /// The letter as the server gets it, signed.
    pub(super) fn message(
        &self,
        letter: &Letter,
        to: Address,
        at: std::time::SystemTime,
    ) -> Result<Message, Error> {
        let mut builder = Message::builder()
            .from(self.settings.from.clone())
            .to(Mailbox::new(None, to))
            .date(at)
            .subject(letter.subject.clone());
        for (name, value) in &letter.headers {
            // Encodes whatever is not plain text, line ends among it.
            let name = HeaderName::new_from_ascii_str(name);
            builder = builder.raw_header(HeaderValue::new(name, value.clone()));
        }
        let body = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
        let mut message =
            builder.multipart(body).map_err(|_| Error::Compose("the letter is not complete"))?;
        if let Some(dkim) = &self.settings.dkim {
            message.sign(dkim);
        }
        Ok(message)
    }

    fn put_back(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { connection, since: Instant::now() });
    }

    /// The freshest one that is not too old; the too old ones are dropped.
    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < self.settings.idle);
        idle.pop().map(|idle| idle.connection)
    }
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Settings { host, port, .. } = &self.settings;
        f.debug_struct("Email").field("host", host).field("port", port).finish_non_exhaustive()
    }
}
