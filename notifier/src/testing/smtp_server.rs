//! An SMTP server that takes letters, or does not, as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// What becomes of one letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The answer to `MAIL FROM`.
    RefuseSender(&'static str),
    /// The answer to `RCPT TO`.
    RefuseRecipient(&'static str),
    HangAtRecipient,
    DropAtRecipient,
    /// The answer after the letter.
    RefuseContent(&'static str),
    /// The letter is taken, and nobody is told.
    HangAfterContent,
    DropAfterContent,
    Accept,
}

/// A letter that was taken.
#[derive(Debug, Clone)]
pub struct Letter {
    pub from: String,
    pub to: String,
    pub text: String,
    pub private: bool,
    /// User and password.
    pub signed_in: Option<(String, String)>,
}

#[derive(Default)]
struct State {
    fates: VecDeque<Fate>,
    letters: Vec<Letter>,
    connections: usize,
}

/// Listens until it is dropped.
pub struct SmtpServer {
    pub port: u16,
    /// In PEM.
    pub certificate: String,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SmtpServer {
    pub async fn start() -> Self {
        let (acceptor, certificate) = super::tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                let session =
                    Session { state: Arc::clone(&shared), private: false, signed_in: None };
                tokio::spawn(session.serve(stream, acceptor.clone()));
            }
        });
        Self { port, certificate, state, task }
    }

    /// What becomes of the next letters; of all after them: accepted.
    pub fn next(&self, fates: &[Fate]) {
        self.state.lock().unwrap().fates.extend(fates);
    }

    pub fn letters(&self) -> Vec<Letter> {
        self.state.lock().unwrap().letters.clone()
    }

    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

struct Session {
    state: Arc<Mutex<State>>,
    private: bool,
    signed_in: Option<(String, String)>,
}

/// Why a session ends.
enum End {
    Gone,
    StartTls,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Session {
    async fn serve(mut self, stream: TcpStream, acceptor: TlsAcceptor) {
        let mut stream = BufReader::new(Box::new(stream) as Box<dyn Stream>);
        if stream.write_all(b"220 test ESMTP\r\n").await.is_err() {
            return;
        }
        if let Ok(End::StartTls) = self.talk(&mut stream).await
            && let Ok(stream) = acceptor.accept(stream.into_inner()).await
        {
            self.private = true;
            let mut stream = BufReader::new(Box::new(stream) as Box<dyn Stream>);
            let _ = self.talk(&mut stream).await;
        }
    }

    async fn talk(&mut self, stream: &mut BufReader<Box<dyn Stream>>) -> std::io::Result<End> {
        let (mut fate, mut from, mut to) = (Fate::Accept, String::new(), String::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(End::Gone);
            }
            let line = line.trim_end().to_owned();
            let verb = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" if self.private => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
                "EHLO" => "250-test\r\n250-8BITMIME\r\n250 STARTTLS",
                "STARTTLS" => {
                    stream.write_all(b"220 go ahead\r\n").await?;
                    return Ok(End::StartTls);
                }
                "AUTH" => self.sign_in(&line),
                "MAIL" => {
                    fate = self.state.lock().unwrap().fates.pop_front().unwrap_or(Fate::Accept);
                    from = address(&line);
                    if let Fate::RefuseSender(answer) = fate { answer } else { "250 ok" }
                }
                "RCPT" => {
                    to = address(&line);
                    match fate {
                        Fate::RefuseRecipient(answer) => answer,
                        Fate::HangAtRecipient => return hang(stream).await,
                        Fate::DropAtRecipient => return Ok(End::Gone),
                        Fate::RefuseSender(_)
                        | Fate::RefuseContent(_)
                        | Fate::HangAfterContent
                        | Fate::DropAfterContent
                        | Fate::Accept => "250 ok",
                    }
                }
                "DATA" => {
                    stream.write_all(b"354 go ahead\r\n").await?;
                    let text = content(stream).await?;
                    let refused = matches!(fate, Fate::RefuseContent(_));
                    if !refused {
                        self.state.lock().unwrap().letters.push(Letter {
                            from: from.clone(),
                            to: to.clone(),
                            text,
                            private: self.private,
                            signed_in: self.signed_in.clone(),
                        });
                    }
                    match fate {
                        Fate::RefuseContent(answer) => answer,
                        Fate::HangAfterContent => return hang(stream).await,
                        Fate::DropAfterContent => return Ok(End::Gone),
                        Fate::RefuseSender(_)
                        | Fate::RefuseRecipient(_)
                        | Fate::HangAtRecipient
                        | Fate::DropAtRecipient
                        | Fate::Accept => "250 taken",
                    }
                }
                "NOOP" => "250 ok",
                "QUIT" => "221 bye",
                _ => "500 what",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }

    fn sign_in(&mut self, line: &str) -> &'static str {
        let Some(words) = line.strip_prefix("AUTH PLAIN ") else { return "504 only PLAIN" };
        let words = String::from_utf8(BASE64.decode(words).unwrap()).unwrap();
        let words: Vec<&str> = words.split('\0').collect();
        if words[2] == "wrong" {
            return "535 5.7.8 no";
        }
        self.signed_in = Some((words[1].to_owned(), words[2].to_owned()));
        "235 welcome"
    }
}

fn address(line: &str) -> String {
    line.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned()
}

/// Until the other side gives up.
async fn hang(stream: &mut BufReader<Box<dyn Stream>>) -> std::io::Result<End> {
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(End::Gone)
}

/// Up to the dot, without the dots that were doubled.
async fn content(stream: &mut BufReader<Box<dyn Stream>>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
