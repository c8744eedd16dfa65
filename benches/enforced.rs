//! How long after its 201 a rule blocks packets, with a real agent and nftables in network namespaces.

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::report::{Report, ms, percentile};
use crate::rig::{Rig, send, wait_for};
use crate::town::{Town, can_build};

const ROUNDS: usize = 30;

pub(crate) async fn run(report: &mut Report) {
    if !can_build().await {
        return;
    }
    let mut town = Town::build().await;
    let rig = Rig::start_at(town.host(), &[]).await;
    let state = TempDir::new().unwrap();
    town.start_agent(&rig.url(""), &rig.setup_key("fleet").await, state.path());
    let applied = async || {
        let device = rig.get("/api/v1/devices").await.json["data"][0].clone();
        device["applied"]["revision"].as_u64().unwrap_or(0)
    };
    wait_for("the first config", async || applied().await > 0).await;

    let (mut in_kernel, mut reported) = (Vec::new(), Vec::new());
    for n in 0..ROUNDS {
        let body = json!({"name": format!("rule {n}"), "zone_from": "WAN", "zone_to": "LAN", "protocol": "tcp", "ports": [1_000 + n], "action": "drop"});
        let request = rig.request(Method::POST, "/api/v1/firewall/rules").json(&body);
        let created = send(request).await;
        let start = Instant::now();
        let counter = format!("counter rule_{}", created.json["number"]);
        wait_for("the rule in the kernel", async || town.ruleset().await.contains(&counter)).await;
        in_kernel.push(start.elapsed());
        let revision = created.json["revision"].as_u64().unwrap();
        wait_for("the device's report", async || applied().await >= revision).await;
        reported.push(start.elapsed());
    }
    report.section(
        "From the 201 to enforced",
        "A rule is created; `nft list` in the router's namespace is asked until it shows the rule, then `GET /devices` until the \
         device has reported it (after it proved that it still reaches the control plane). Polled every 20 ms, so that much is coarse.",
        &["until", "p50", "p99"],
    );
    report.row(&["in the kernel".to_owned(), ms(percentile(&mut in_kernel, 50)), ms(percentile(&mut in_kernel, 99))]);
    report.row(&[
        "reported as applied".to_owned(),
        ms(percentile(&mut reported, 50)),
        ms(percentile(&mut reported, 99)),
    ]);
}
