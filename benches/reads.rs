//! How fast resources are read, beside a bare axum handler that returns the same bytes: the price of authentication,
//! limits, roles and everything else around an answer.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::{Child, Command};

use crate::plain_http::{PlainHttp, rate};
use crate::report::Report;
use crate::rig::{Rig, free, wait_for};

const ROUNDS: usize = 5;
const DURING: Duration = Duration::from_secs(2);
const RULES: usize = 200;
const CLIENTS: [usize; 2] = [1, 16];
/// The word by which this program serves the bytes of a file, and does nothing else.
pub(crate) const SERVE: &str = "serve-bytes";

pub(crate) async fn run(report: &mut Report) {
    let rig = Rig::start().await;
    let mut last = None;
    for n in 0..RULES {
        let body = json!({"name": format!("rule {n}"), "zone_from": "WAN", "zone_to": "LAN", "protocol": "tcp", "port": "443", "action": "accept"});
        last = Some(rig.post("/api/v1/firewall/rules", body).await);
    }
    let last = last.unwrap();
    let one = format!("/api/v1/firewall/rules/{}", last.id());
    rig.get_after(&one, &last).await;
    report.section(
        "Reading",
        "`GET` of one rule and of a page of 50, authenticated with an API token and counted against the limits, over keep-alive \
         connections; beside it a bare axum handler (own process, no authentication) that returns the very same bytes. Median of \
         alternating rounds of 2 s.",
        &["read", "connections", "bytes", "Netkeep /s", "bare axum /s", "ratio"],
    );
    for (name, path) in [("one rule", one.as_str()), ("page of 50", "/api/v1/firewall/rules?per_page=50")] {
        let body = PlainHttp::connect(rig.api, path, &rig.token).await.get().await.to_vec();
        let peer = Peer::start(&body).await;
        for clients in CLIENTS {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                theirs.push(rate(peer.listen, "/", "none", clients, DURING).await);
                ours.push(rate(rig.api, path, &rig.token, clients, DURING).await);
            }
            let (ours, theirs) = (median(&mut ours), median(&mut theirs));
            report.row(&[
                name.to_owned(),
                clients.to_string(),
                body.len().to_string(),
                format!("{ours:.0}"),
                format!("{theirs:.0}"),
                format!("{:.2}x", ours / theirs),
            ]);
        }
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// A bare axum in a process of its own.
struct Peer {
    listen: SocketAddr,
    _child: Child,
    _file: tempfile::NamedTempFile,
}

impl Peer {
    async fn start(body: &[u8]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), body).unwrap();
        let listen = free("127.0.0.1:0".parse().unwrap());
        let child = Command::new(std::env::current_exe().unwrap())
            .args([SERVE, &listen.to_string()])
            .arg(file.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        wait_for("the bare axum", async || tokio::net::TcpStream::connect(listen).await.is_ok()).await;
        Self { listen, _child: child, _file: file }
    }
}

/// Serves the bytes of a file as JSON, for ever.
pub(crate) async fn serve_bytes(listen: &str, file: &str) {
    use axum::http::header::CONTENT_TYPE;
    let body = bytes::Bytes::from(std::fs::read(file).unwrap());
    let answer = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let router = axum::Router::new().route("/", axum::routing::get(answer));
    axum::serve(tokio::net::TcpListener::bind(listen).await.unwrap(), router).await.unwrap();
}
