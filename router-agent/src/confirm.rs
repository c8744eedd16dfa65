//! Proof that the control plane can be reached: a new connection to the bus, and the server's first line over it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
const NATS_PORT: u16 = 4_222;
const INFO_BYTES_MAX: u64 = 65_536;

/// Reaches one of the bus addresses within the time, trying again and again; else says what went wrong last.
pub async fn reach(urls: &[String], within: Duration) -> Result<(), String> {
    let deadline = Instant::now() + within;
    let mut last = "no bus address is known".to_owned();
    loop {
        for url in urls {
            match timeout(ATTEMPT_TIMEOUT.min(within), greet(url)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => last = format!("{url}: {error}"),
                Err(_) => last = format!("{url}: no answer"),
            }
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(last);
        }
        sleep(PAUSE).await;
    }
}

/// The addresses behind the bus's urls; a name that does not resolve gives none.
pub async fn resolve(urls: &[String]) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for url in urls {
        if let Ok(Ok(found)) = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host(host_and_port(url))).await {
            addresses.extend(found);
        }
    }
    addresses.sort();
    addresses.dedup();
    addresses
}

async fn greet(url: &str) -> std::io::Result<()> {
    let stream = TcpStream::connect(host_and_port(url)).await?;
    let mut line = String::new();
    BufReader::new(stream.take(INFO_BYTES_MAX)).read_line(&mut line).await?;
    if line.starts_with("INFO ") { Ok(()) } else { Err(std::io::Error::other("it does not speak like a NATS server")) }
}

/// `host:port` of a bus url.
fn host_and_port(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(before, port)| port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']')));
    if has_port {
        host.to_owned()
    } else if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{NATS_PORT}")
    } else {
        format!("{host}:{NATS_PORT}")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn bus_urls_give_host_and_port() {
        for (url, expected) in [
            ("nats://10.0.0.1:4333", "10.0.0.1:4333"),
            ("tls://u:p@bus.example", "bus.example:4222"),
            ("nats://[::1]:4333/", "[::1]:4333"),
            ("nats://[::1]", "[::1]:4222"),
            ("::1", "[::1]:4222"),
        ] {
            assert_eq!(host_and_port(url), expected);
        }
    }

    async fn server(greeting: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(greeting).await;
            }
        });
        format!("nats://{address}")
    }

    #[tokio::test]
    async fn only_a_bus_that_greets_is_reached() {
        let (good, other) = (server(b"INFO {}\r\n").await, server(b"HTTP/1.1 400\r\n").await);
        assert_eq!(reach(&["nats://127.0.0.1:1".to_owned(), good], Duration::from_secs(5)).await, Ok(()));
        assert!(reach(&[other], Duration::from_millis(300)).await.is_err());
        assert!(reach(&[], Duration::from_millis(10)).await.is_err());
    }
}
