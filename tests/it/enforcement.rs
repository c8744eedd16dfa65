//! A rule reaches a device: created, it blocks packets; deleted, they pass; and the traffic tells of both.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::rig::{Rig, wait_for};
use crate::town::{Town, can_build};

/// From the 201 to the packet.
const WITHIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_blocks_within_two_seconds_and_its_deletion_passes() {
    if !can_build().await {
        return;
    }
    let mut town = Town::build().await;
    let rig = Rig::start_at(town.host(), &[]).await;
    let state = TempDir::new().unwrap();
    let _telnet = town.serve(23).await;
    let _web = town.serve(80).await;
    town.start_agent(&rig.url(""), &rig.setup_key("fleet").await, state.path());
    let device = async || rig.get("/api/v1/devices").await.json["data"][0].clone();
    wait_for("the device to run its first config", async || in_sync(&device().await)).await;
    assert!(town.connects(23).await && town.connects(80).await, "an org begins by accepting everything");

    let rule = json!({"name": "Block Telnet", "zone_from": "WAN", "zone_to": "LAN", "protocol": "tcp", "port": "23", "action": "drop"});
    let created = rig.post("/api/firewall/rules", rule).await;
    assert_eq!(created.status, 201, "{}", created.json);
    holds_within("telnet to be blocked", async || !town.connects(23).await).await;
    assert!(town.connects(80).await, "the rule blocks telnet and nothing else");
    wait_for("the device to say so", async || in_sync(&device().await)).await;
    let revision = created.json["revision"].as_u64();
    assert!(device().await["applied"]["revision"].as_u64() >= revision);

    let rule_id = created.id().to_owned();
    let dropped = format!(
        "SELECT verdict, verdict_source, src, dst, protocol, zone_from, zone_to FROM flows WHERE rule = '{rule_id}' AND dst_port = 23"
    );
    wait_for("the dropped packets in the table", async || !rig.sql(&dropped).await.is_empty()).await;
    let row = rig.sql(&dropped).await[0].clone();
    let (client, server) = (town.client_ip().to_string(), town.server_ip().to_string());
    assert_eq!(
        row,
        [json!("drop"), json!("kernel"), json!(client), json!(server), json!("tcp"), json!("WAN"), json!("LAN")]
    );
    let passed = "SELECT count(*) FROM flows WHERE dst_port = 80 AND verdict = 'accept' AND packets_received > 0";
    wait_for("the accepted packets in the table", async || rig.sql(passed).await[0][0] != json!(0)).await;
    let logs = rig.get(&format!("/api/traffic/logs?action=drop&rule={rule_id}")).await;
    assert_eq!(logs.json["data"][0]["source_ip"], json!(client), "{}", logs.json);

    let deleted = rig.delete(&format!("/api/v1/firewall/rules/{rule_id}")).await;
    assert_eq!(deleted.status, 204);
    holds_within("telnet to pass again", async || town.connects(23).await).await;
    let verbs = rig.sql("SELECT DISTINCT name FROM events WHERE kind = 'device' ORDER BY name").await;
    assert!(verbs.contains(&vec![json!("device.config_applied")]), "{verbs:?}");
    assert!(!town.ruleset().await.contains(&format!("rule_{}", created.json["number"])), "nothing of the rule is left");
}

fn in_sync(device: &Value) -> bool {
    let revision = |which: &str| device[which]["revision"].as_u64();
    device["online"] == true && revision("desired").is_some() && revision("applied") >= revision("desired")
}

async fn holds_within(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < WITHIN, "{what} takes longer than {WITHIN:?}");
    }
}
