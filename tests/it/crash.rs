//! A crash in the middle of everything: what was acknowledged is there afterwards, once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use reqwest::Method;
use schemas::flow;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::device::{SimDevice, batch};
use crate::rig::{Rig, now, send, wait_for};

const RULES: usize = 2_000;
const WRITERS: usize = 8;
const ROWS: usize = 500;

/// What the writers know to be acknowledged, whatever happens next.
#[derive(Default)]
struct Acknowledged {
    rules: Mutex<BTreeSet<String>>,
    created: AtomicUsize,
    batches: AtomicUsize,
    stop: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_loses_nothing_and_doubles_nothing() {
    let mut rig = Rig::start().await;
    let device = SimDevice::enrol(&rig, &rig.setup_key("fleet").await, "edge").await;
    let done = Arc::new(Acknowledged::default());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let request = rig.request(Method::POST, "/api/v1/firewall/rules");
        writers.spawn(create_rules(writer, request, done.clone()));
    }
    writers.spawn(stream_flows(device, done.clone()));

    // Two crashes: early, and when much is in flight.
    for reached in [RULES / 4, RULES / 2] {
        wait_for("rules to be created", async || done.created.load(Ordering::SeqCst) >= reached).await;
        rig.kill().await;
        rig.restart().await;
    }
    wait_for("all rules to be created", async || done.created.load(Ordering::SeqCst) >= RULES).await;
    done.stop.store(true, Ordering::SeqCst);
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }

    let acknowledged = done.rules.lock().await.clone();
    assert_eq!(acknowledged.len(), RULES);
    let mut kept = BTreeSet::new();
    let pages = RULES.div_ceil(100);
    for page in 1..=pages {
        let list = rig.get(&format!("/api/v1/firewall/rules?per_page=100&page={page}")).await;
        assert_eq!(list.json["meta"]["total"], RULES, "no rule twice");
        let data = list.json["data"].as_array().unwrap().clone();
        kept.extend(data.iter().map(|rule| rule["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(kept, acknowledged, "every 201 is there");

    let verified = rig.get("/api/v1/history/verify").await;
    assert_eq!(verified.json["ok"], true, "{}", verified.json);
    let newest = rig.get("/api/v1/events?per_page=1").await;
    assert_eq!(verified.json["revisions"], newest.json["meta"]["total"], "revisions without a gap");

    let rows = done.batches.load(Ordering::SeqCst) * ROWS;
    let counted = async || rig.sql("SELECT count(*), count(DISTINCT time) FROM flows").await[0].clone();
    wait_for("all flow rows in the table", async || counted().await[0].as_u64() >= Some(rows as u64)).await;
    assert_eq!(counted().await, [json!(rows), json!(rows)], "none lost, none twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_nats_server_comes_back_and_reads_show_every_write() {
    let rig = Rig::start().await;
    let create = async |name: String| {
        let body = json!({"name": name, "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
        let request = rig.request(Method::POST, "/api/v1/firewall/rules").header("Idempotency-Key", &name).json(&body);
        loop {
            let answer = send(request.try_clone().unwrap()).await;
            match answer.status.as_u16() {
                201 => break answer,
                503 => tokio::task::yield_now().await,
                status => panic!("{status} {}", answer.json),
            }
        }
    };
    for n in 0..60 {
        if n % 20 == 10 {
            rig.kill_nats().await;
        }
        create(format!("rule-{n}")).await;
    }
    let last = create("the-last".to_owned()).await;
    let path = "/api/v1/firewall/rules?per_page=100";
    wait_for("all rules in the read models", async || {
        let list = rig.get_after(path, &last).await;
        list.json["meta"]["total"] == 61
    })
    .await;
    let verified = rig.get("/api/v1/history/verify").await;
    assert_eq!(
        (&verified.json["ok"], &verified.json["revisions"]),
        (&json!(true), &json!(8 + 61)),
        "{}",
        verified.json
    );
}

/// Creates its share of the rules, each until it is acknowledged, with one key for all attempts.
async fn create_rules(writer: usize, request: reqwest::RequestBuilder, done: Arc<Acknowledged>) {
    for n in (writer..RULES).step_by(WRITERS) {
        let body = json!({"name": format!("rule {n}"), "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
        let request = request.try_clone().unwrap().header("Idempotency-Key", format!("rule-{n}")).json(&body);
        loop {
            let Ok(response) = request.try_clone().unwrap().send().await else {
                tokio::task::yield_now().await;
                continue;
            };
            let status = response.status().as_u16();
            let Ok(body) = response.json::<serde_json::Value>().await else { continue };
            if status == 201 {
                done.rules.lock().await.insert(body["id"].as_str().unwrap().to_owned());
                done.created.fetch_add(1, Ordering::SeqCst);
                break;
            }
            assert!(status >= 500 || status == 429, "{status} {body}");
        }
    }
}

/// Sends batches one after the other, each until it is acknowledged, with one number for all attempts.
async fn stream_flows(device: SimDevice, done: Arc<Acknowledged>) {
    let bus = device.connect().await;
    let start = now().timestamp_micros();
    for number in 1.. {
        let rows = batch(start + (number as i64) * 1_000_000, ROWS);
        let payload = Bytes::from(flow::encode(&rows).unwrap());
        while bus.send_batch(number, payload.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
        done.batches.fetch_add(1, Ordering::SeqCst);
        if done.stop.load(Ordering::SeqCst) {
            return;
        }
    }
}
