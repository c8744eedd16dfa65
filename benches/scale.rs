//! How much fits: an org of 100,000 rules, and 10,000 orgs of ten.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::plain_http::PlainHttp;
use crate::report::{Report, ms, per_second, percentile};
use crate::rig::{Rig, send, wait_for};

const RULES: usize = 100_000;
const BATCH: usize = 1_000;
const PAGES: usize = 500;

pub(crate) async fn run(report: &mut Report) {
    one_large(report).await;
    many_small(report).await;
}

/// 10,000 orgs of 10 rules.
async fn many_small(report: &mut Report) {
    const ORGS: usize = 10_000;
    const RULES_EACH: usize = 10;
    let mut rig = Rig::start().await;
    let before = resident_kib(&rig.pid());
    let names: Vec<String> = (0..ORGS).map(|n| format!("org-{n}")).collect();
    let start = Instant::now();
    let tokens = rig.found(&names).await;
    let founded = start.elapsed();
    let commands: Vec<Value> = (0..RULES_EACH).map(command).collect();
    let body = json!({"commands": commands});
    let start = Instant::now();
    for token in &tokens {
        let request = rig.http.post(rig.url("/api/v1/batch")).bearer_auth(token).json(&body);
        let answer = send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
    }
    let written = start.elapsed();
    let busy = resident_kib(&rig.pid());
    rig.stop().await;
    rig.restart().await;
    let (first, last) = (tokens.first().unwrap(), tokens.last().unwrap());
    let mut cold = Vec::new();
    for token in [first, last] {
        let start = Instant::now();
        let answer = send(rig.http.get(rig.url("/api/v1/firewall/rules")).bearer_auth(token)).await;
        cold.push(start.elapsed());
        assert_eq!(answer.json["meta"]["total"], RULES_EACH, "{}", answer.json);
    }
    wait_for("idle orgs to leave memory", async || resident_kib(&rig.pid()) < busy).await;
    let idle = resident_kib(&rig.pid());
    report.section(
        "10,000 orgs of 10 rules on one machine",
        "Founded with `netkeep found`, ten rules each in one batch, one caller after the other; then a restart, after which nobody \
         asks for them.",
        &["what", "figure"],
    );
    let mut row = |what: &str, figure: String| report.row(&[what.to_owned(), figure]);
    row("orgs founded /s (three commits each)", format!("{:.0}", per_second(ORGS, founded)));
    row("orgs written to /s (a batch of ten rules each)", format!("{:.0}", per_second(ORGS, written)));
    row("memory before there was any", format!("{:.0} MiB", mib(before)));
    row("memory with all written to within minutes", format!("{:.0} MiB", mib(busy)));
    row("memory with all idle, after a restart", format!("{:.0} MiB", mib(idle)));
    let each = idle.saturating_sub(before) as f64 / ORGS as f64;
    row("so an idle org costs", format!("{each:.1} KiB"));
    row("first read of an org that was idle", ms(cold.into_iter().max().unwrap_or_default()));
}

async fn one_large(report: &mut Report) {
    let mut rig = Rig::start().await;
    let (before, nats_before) = (resident_kib(&rig.pid()), resident_kib(&rig.nats_pid()));
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
    let page = rig.get_after("/api/v1/firewall/rules?per_page=1", &last).await;
    let visible = start.elapsed();
    let rule = page.json["data"][0]["id"].as_str().unwrap().to_owned();
    let (first_page, last_page) = (pages(&rig, 1).await, pages(&rig, RULES / 50).await);
    let (after, nats_after) = (resident_kib(&rig.pid()), resident_kib(&rig.nats_pid()));

    rig.stop().await;
    rig.restart().await;
    // The first write folds the whole log of the org.
    let start = Instant::now();
    let written = rig.patch(&format!("/api/v1/firewall/rules/{rule}"), json!({"description": "once more"})).await;
    let write_cold = start.elapsed();
    assert_eq!(written.status, 200, "{}", written.json);
    let start = Instant::now();
    let request = rig.request(Method::GET, "/api/v1/firewall/rules?per_page=1");
    let read = send(request.header("Netkeep-Min-Position", written.header("netkeep-position"))).await;
    let read_cold = start.elapsed();
    assert_eq!(read.json["meta"]["total"], RULES);

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

/// Resident memory of a process (proc(5), `VmRSS`).
fn resident_kib(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
