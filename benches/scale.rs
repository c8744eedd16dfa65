//! How much one org may have: 100,000 rules, created in batches, listed, and read again after a restart.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::plain_http::PlainHttp;
use crate::report::{Report, ms, per_second, percentile};
use crate::rig::{Rig, send};

const RULES: usize = 100_000;
const BATCH: usize = 1_000;
const PAGES: usize = 500;

pub(crate) async fn run(report: &mut Report) {
    let mut rig = Rig::start().await;
    let (before, nats_before) = (rig.memory_kib(), rig.nats_memory_kib());
    let start = Instant::now();
    let mut last = None;
    for batch in 0..RULES / BATCH {
        let commands: Vec<Value> = (0..BATCH).map(|n| command(batch * BATCH + n)).collect();
        let answer = rig.post("/api/v1/batch", json!({"commands": commands})).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        last = Some(answer);
    }
    let created = start.elapsed();
    let last = last.unwrap();
    let start = Instant::now();
    rig.get_after("/api/v1/firewall/rules?per_page=1", &last).await;
    let visible = start.elapsed();
    let (first_page, last_page) = (pages(&rig, 1).await, pages(&rig, RULES / 50).await);
    let (after, nats_after) = (rig.memory_kib(), rig.nats_memory_kib());

    rig.stop().await;
    rig.restart().await;
    // The first write folds the whole log of the org.
    let start = Instant::now();
    let body = json!({"name": "one more", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
    let written = rig.post("/api/v1/firewall/rules", body).await;
    let write_cold = start.elapsed();
    assert_eq!(written.status, 201, "{}", written.json);
    let start = Instant::now();
    let request = rig.request(Method::GET, "/api/v1/firewall/rules?per_page=1");
    let read = send(request.header("Netkeep-Min-Position", written.header("netkeep-position"))).await;
    let read_cold = start.elapsed();
    assert_eq!(read.json["meta"]["total"], RULES + 1);

    report.section(
        "100,000 rules in one org",
        "Created in batches of 1,000 (`POST /batch`, one commit each), one caller; a page of 50 at both ends of the list; then a restart, \
         the first write (folds the org's whole log) and the first read.",
        &["what", "figure"],
    );
    let mut row = |what: &str, figure: String| report.row(&[what.to_owned(), figure]);
    row("rules created /s", format!("{:.0}", per_second(RULES, created)));
    row("from the last 201 to a read that shows it", ms(visible));
    for (name, mut samples) in [("first page of 50", first_page), ("last page of 50", last_page)] {
        row(name, format!("p50 {}, p99 {}", ms(percentile(&mut samples, 50)), ms(percentile(&mut samples, 99))));
    }
    row("cold start: first write after a restart", ms(write_cold));
    row("cold start: first read after it", ms(read_cold));
    row("memory of netkeep", format!("{:.0} MiB, {:.0} MiB before", mib(after), mib(before)));
    row("memory of nats-server", format!("{:.0} MiB, {:.0} MiB before", mib(nats_after), mib(nats_before)));
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn command(n: usize) -> Value {
    let source = format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255);
    json!({"op": "create", "kind": "rule", "body": {
        "name": format!("rule {n}"), "zone_from": "LAN", "zone_to": "WAN", "sources": [source],
        "protocol": "tcp", "ports": ["443"], "action": "accept",
    }})
}

async fn pages(rig: &Rig, page: usize) -> Vec<Duration> {
    let path = format!("/api/v1/firewall/rules?per_page=50&page={page}");
    let mut client = PlainHttp::connect(rig.api, &path, &rig.token).await;
    let mut samples = Vec::with_capacity(PAGES);
    for _ in 0..PAGES {
        let start = Instant::now();
        client.get().await;
        samples.push(start.elapsed());
    }
    samples
}
