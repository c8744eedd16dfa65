//! How fast flow rows get from a device's batch into the durable table.

use bytes::Bytes;
use schemas::flow;
use serde_json::json;
use tokio::time::Instant;

use crate::device::SimDevice;
use crate::report::{Report, ms, per_second, percentile};
use crate::rig::{Rig, wait_for};
use crate::traffic::traffic;

const DEVICES: usize = 4;
const BATCHES: usize = 50;
const BATCH_ROWS: usize = 10_000;
/// Half an hour past an hour: the rows of a run lie in one hour.
const START_US: i64 = 1_790_001_800_000_000;

pub(crate) async fn run(report: &mut Report) {
    let rig = Rig::start().await;
    let key = rig.setup_key("fleet").await;
    let mut devices = Vec::new();
    for n in 0..DEVICES {
        let device = SimDevice::enrol(&rig, &key, &format!("edge-{n}")).await;
        let bus = device.connect().await;
        let payloads: Vec<Bytes> = (0..BATCHES)
            .map(|it| (START_US + (it * 1_000_000) as i64, (n * BATCHES + it) as u64))
            .map(|(start_us, seed)| Bytes::from(flow::encode(&traffic(start_us, BATCH_ROWS, seed)).unwrap()))
            .collect();
        devices.push((bus, payloads));
    }
    let wire: usize = devices.iter().flat_map(|(_, payloads)| payloads).map(Bytes::len).sum();
    let rows = DEVICES * BATCHES * BATCH_ROWS;

    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (bus, payloads) in devices {
        tasks.spawn(async move {
            let mut acks = Vec::new();
            for (number, payload) in (1..).zip(payloads) {
                let sent = Instant::now();
                bus.send_batch(number, payload).await.unwrap();
                acks.push(sent.elapsed());
            }
            acks
        });
    }
    let mut acks = tasks.join_all().await.concat();
    let acknowledged = start.elapsed();
    let count = json!(rows);
    wait_for("all rows in the table", async || rig.sql("SELECT count(*) FROM flows").await[0][0] == count).await;
    let durable = start.elapsed();
    let stored = bytes_below(&rig.data.path().join("store"));

    report.section(
        "Flow rows, from batch to durable table",
        &format!(
            "{DEVICES} devices send {BATCHES} batches of {BATCH_ROWS} rows of made-up traffic each over the bus, one in flight a device ({:.1} bytes a row on the wire). \
             Acknowledged: stored in JetStream with an fsync. Durable: sorted, written as Parquet, fsynced, in the catalogue, counted by SQL.",
            wire as f64 / rows as f64
        ),
        &["rows", "acknowledged rows/s", "durable rows/s", "batch ack p50", "batch ack p99", "bytes a row on disk"],
    );
    report.row(&[
        rows.to_string(),
        format!("{:.0}", per_second(rows, acknowledged)),
        format!("{:.0}", per_second(rows, durable)),
        ms(percentile(&mut acks, 50)),
        ms(percentile(&mut acks, 99)),
        format!("{:.1}", stored as f64 / rows as f64),
    ]);
}

fn bytes_below(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let sizes = entries.map(|entry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() { bytes_below(&entry.path()) } else { metadata.len() }
    });
    sizes.sum()
}
