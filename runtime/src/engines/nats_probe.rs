//! One request to a nats-server, by the plain text protocol, with no client library.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Asks 127.0.0.1:`port` on `subject` and returns the JSON answer.
///
/// # Errors
/// Why there is no answer, for people.
pub(super) async fn request(port: u16, subject: &str, body: &str) -> Result<Value, String> {
    let say = |error: std::io::Error| error.to_string();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(say)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.map_err(say)?;
    let info = line.strip_prefix("INFO ").ok_or_else(|| format!("not a nats-server: {line:?}"))?;
    let info: Value = serde_json::from_str(info).map_err(|error| error.to_string())?;
    if info.get("jetstream").and_then(Value::as_bool) != Some(true) {
        return Err("JetStream is not ready".to_owned());
    }
    let question = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"lang\":\"rust\",\"version\":\"0\",\"protocol\":1}}\r\n\
         SUB _INBOX.parley 1\r\nPUB {subject} _INBOX.parley {}\r\n{body}\r\nPING\r\n",
        body.len()
    );
    stream.write_all(question.as_bytes()).await.map_err(say)?;
    loop {
        line.clear();
        if stream.read_line(&mut line).await.map_err(say)? == 0 {
            return Err("the connection was closed".to_owned());
        }
        let mut words = line.split_whitespace();
        match words.next() {
            Some("PING") => stream.write_all(b"PONG\r\n").await.map_err(say)?,
            Some("-ERR") => return Err(line.trim().to_owned()),
            Some("MSG") => {
                let length = words
                    .last()
                    .and_then(|length| length.parse::<usize>().ok())
                    .ok_or_else(|| format!("unexpected {line:?}"))?;
                let mut payload = vec![0; length];
                stream.read_exact(&mut payload).await.map_err(say)?;
                let answer: Value =
                    serde_json::from_slice(&payload).map_err(|error| error.to_string())?;
                return match answer.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(answer),
                };
            }
            Some(_) | None => {}
        }
    }
}
