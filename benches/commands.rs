//! How fast commands are taken, beside a bare publish loop: the price of HTTP, deciding and the hash chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::peer::BareNats;
use crate::report::{Report, ms, per_second, percentile, ratio};
use crate::rig::Rig;

const ROUNDS: usize = 6;
const CALLS: usize = 400;
const CLIENTS: [usize; 3] = [1, 16, 64];
/// About what one rule's commit has.
const COMMIT_BYTES: usize = 1_100;

pub(crate) async fn run(report: &mut Report) {
    let rig = Arc::new(Rig::start().await);
    let bare = Arc::new(BareNats::start().await);
    let names = Arc::new(AtomicUsize::new(0));
    let (mut checked, mut expected) = (Vec::new(), 0);
    let mut round_trips = Vec::new();
    for _ in 0..ROUNDS * CALLS {
        checked.push(bare.publish_checked(COMMIT_BYTES, &mut expected).await);
        let start = Instant::now();
        rig.http.get(rig.url("/api/v1/health")).send().await.unwrap().bytes().await.unwrap();
        round_trips.push(start.elapsed());
    }
    report.section(
        "Commands",
        "`POST /api/v1/firewall/rules` until its 201 (decided, appended, fsynced), beside publishing a message of the same size \
         (1.1 KB) to a bare JetStream stream until its acknowledgement. Callers wait for each answer before the next call.",
        &["callers", "POST /s", "POST p50", "POST p99", "bare publish /s", "publish p50", "publish p99", "p99 ratio"],
    );
    for clients in CLIENTS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut our_time, mut their_time) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            theirs.extend(publish(&bare, clients).await);
            their_time += start.elapsed();
            let start = Instant::now();
            ours.extend(create(&rig, &names, clients).await);
            our_time += start.elapsed();
        }
        let (our_p99, their_p99) = (percentile(&mut ours, 99), percentile(&mut theirs, 99));
        report.row(&[
            clients.to_string(),
            format!("{:.0}", per_second(ours.len(), our_time)),
            ms(percentile(&mut ours, 50)),
            ms(our_p99),
            format!("{:.0}", per_second(theirs.len(), their_time)),
            ms(percentile(&mut theirs, 50)),
            ms(their_p99),
            ratio(our_p99, their_p99),
        ]);
    }
    report.note(&format!(
        "What one caller waits for besides the disk: publishing under the check of the last sequence that an event log needs takes p50 {}, p99 {} \
         on the bare server, and an empty HTTP round trip to Netkeep (`GET /health`) p50 {}, p99 {}. Where fsync is as fast as here, these \
         and not the log are the price of one command; with several callers the shared commit makes up for them.",
        ms(percentile(&mut checked, 50)),
        ms(percentile(&mut checked, 99)),
        ms(percentile(&mut round_trips, 50)),
        ms(percentile(&mut round_trips, 99)),
    ));
}

async fn publish(bare: &Arc<BareNats>, clients: usize) -> Vec<Duration> {
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let bare = bare.clone();
        tasks.spawn(async move {
            let mut samples = Vec::new();
            for _ in 0..CALLS / clients {
                samples.push(bare.publish(COMMIT_BYTES).await);
            }
            samples
        });
    }
    tasks.join_all().await.concat()
}

async fn create(rig: &Arc<Rig>, names: &Arc<AtomicUsize>, clients: usize) -> Vec<Duration> {
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (rig, names) = (rig.clone(), names.clone());
        tasks.spawn(async move {
            let mut samples = Vec::new();
            for _ in 0..CALLS / clients {
                let name = format!("rule {}", names.fetch_add(1, Ordering::Relaxed));
                let body = json!({"name": name, "zone_from": "WAN", "zone_to": "LAN", "protocol": "tcp", "port": "23", "action": "drop"});
                let request = rig.request(Method::POST, "/api/v1/firewall/rules").json(&body);
                let start = Instant::now();
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 201);
                response.bytes().await.unwrap();
                samples.push(start.elapsed());
            }
            samples
        });
    }
    tasks.join_all().await.concat()
}
