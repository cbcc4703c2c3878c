//! When the gateway says that it can serve.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const INTERVAL: Duration = Duration::from_millis(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Returns once `/readyz` of a gateway that listens on `listen` answers 200.
pub async fn wait(listen: SocketAddr) {
    let address = reachable(listen);
    loop {
        let answer = tokio::time::timeout(ANSWER_WITHIN, status_line(address)).await;
        if let Ok(Ok(line)) = answer
            && line.split(' ').nth(1) == Some("200")
        {
            return;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Where a browser on this machine finds a gateway that listens on `listen`.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// `HTTP/1.1 200 OK`, or as much of it as came at first.
async fn status_line(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut start = [0; 64];
    let length = stream.read(&mut start).await?;
    let start = start.get(..length).unwrap_or_default();
    Ok(String::from_utf8_lossy(start).lines().next().unwrap_or_default().to_owned())
}
