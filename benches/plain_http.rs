//! A client that costs next to nothing: one keep-alive connection, one fixed request, again and again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

pub(crate) struct PlainHttp {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl PlainHttp {
    pub(crate) async fn connect(server: SocketAddr, path: &str, token: &str) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {token}\r\n\r\n");
        Self { stream, request: request.into_bytes(), buffer: vec![0; 1 << 20] }
    }

    /// Sends the request and reads the whole answer; gives the body.
    pub(crate) async fn get(&mut self) -> &[u8] {
        self.stream.write_all(&self.request).await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server hung up");
            filled += read;
            if let Some((head, length)) = head_of(&self.buffer[..filled])
                && filled >= head + length
            {
                return &self.buffer[head..head + length];
            }
        }
    }
}

/// Where the body begins and how long it is, once the head is there.
fn head_of(answer: &[u8]) -> Option<(usize, usize)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    Some((end, length.expect("the answer says how long it is")))
}

/// Requests per second of `clients` connections at once, over a while.
pub(crate) async fn rate(server: SocketAddr, path: &str, token: &str, clients: usize, during: Duration) -> f64 {
    let mut tasks = tokio::task::JoinSet::new();
    let start = Instant::now();
    for _ in 0..clients {
        let mut client = PlainHttp::connect(server, path, token).await;
        tasks.spawn(async move {
            let mut count = 0usize;
            while start.elapsed() < during {
                client.get().await;
                count += 1;
            }
            count
        });
    }
    let count: usize = tasks.join_all().await.into_iter().sum();
    count as f64 / start.elapsed().as_secs_f64()
}
