//! A device's batches become rows: by SQL, as traffic logs, exactly once, for its own org.

use bytes::Bytes;
use reqwest::Method;
use schemas::flow;
use serde_json::json;

use crate::device::{SimDevice, batch};
use crate::rig::{Rig, send, wait_for};

/// Half an hour past an hour, so that a batch of a second lies in one hour.
const START_US: i64 = 1_790_001_800_000_000;

async fn rig_with_rows(rows: usize) -> (Rig, SimDevice) {
    let rig = Rig::start().await;
    let device = SimDevice::enrol(&rig, &rig.setup_key("fleet").await, "edge").await;
    let payload = Bytes::from(flow::encode(&batch(START_US, rows)).unwrap());
    let bus = device.connect().await;
    let first = bus.send_batch(1, payload.clone()).await.unwrap();
    // The same batch again, as after a lost acknowledgement.
    let again = bus.send_batch(1, payload).await.unwrap();
    assert!(again >= first);
    let count = json!(rows);
    wait_for("the rows", async || rig.sql("SELECT count(*) FROM flows").await[0][0] == count).await;
    (rig, device)
}

#[tokio::test]
async fn rows_answer_sql_and_join_with_what_was_configured() {
    let (rig, device) = rig_with_rows(1_000).await;
    let id = device.enrolled.device.id.to_string();
    let one = rig
        .sql("SELECT src, dst, dst_port, protocol, verdict, device, domain FROM flows WHERE src = '10.0.3.231'")
        .await;
    assert_eq!(
        one,
        [[
            json!("10.0.3.231"),
            json!("192.0.2.1"),
            json!(443),
            json!("tcp"),
            json!("accept"),
            json!(id),
            json!("example.org")
        ]]
    );
    let block = rig.sql("SELECT count(*), sum(bytes_sent) FROM flows WHERE cidr_contains('10.0.2.0/23', src)").await;
    assert_eq!(block, [[json!(488), json!(488 * 1_200)]]);
    let joined =
        rig.sql("SELECT d.name, count(*) FROM flows f JOIN devices d ON f.device = d.id GROUP BY d.name").await;
    assert_eq!(joined, [[json!("edge"), json!(1_000)]]);
    let events = rig.sql("SELECT name, count(*) FROM events WHERE kind = 'device' GROUP BY name").await;
    assert_eq!(events, [[json!("device.enrolled"), json!(1)]]);
    let bound = rig.post("/api/v1/sql", json!({"query": "SELECT count(*) FROM flows WHERE dst_port = $1 AND src = $2", "params": [443, "10.0.0.9"]})).await;
    assert_eq!(bound.json["data"], json!([[1]]), "{}", bound.json);
    assert_eq!(bound.json["stats"]["files_total"], 1);
}

#[tokio::test]
async fn traffic_logs_are_filtered_and_newest_first() {
    let (rig, device) = rig_with_rows(1_000).await;
    let id = device.enrolled.device.id;
    let logs = rig.get("/api/traffic/logs?limit=2").await;
    assert_eq!(logs.status, 200, "{}", logs.json);
    let sources = |logs: &crate::rig::Answer| -> Vec<String> {
        logs.json["data"].as_array().unwrap().iter().map(|it| it["source_ip"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(sources(&logs), ["10.0.3.231", "10.0.3.230"]);
    for (filter, found) in [
        ("action=accept&src=10.0.0.0/30", 4),
        ("action=drop", 0),
        ("proto=tcp&dst=192.0.2.1&src=10.0.0.7", 1),
        ("protocol=udp", 0),
        ("port=443&src=10.0.0.0/31", 2),
        (&format!("device={id}&src=10.0.0.1"), 1),
        ("since=2030-01-01T00:00:00Z", 0),
    ] {
        let logs = rig.get(&format!("/api/v1/traffic/logs?limit=50&{filter}")).await;
        assert_eq!((logs.status.as_u16(), sources(&logs).len()), (200, found), "{filter}: {}", logs.json);
    }
    let bad = rig.get("/api/v1/traffic/logs?src=nowhere").await;
    assert_eq!((bad.status.as_u16(), bad.reason(), &bad.json["error"]["field"]), (400, "QUERY_INVALID", &json!("src")));
}

#[tokio::test]
async fn hostile_sql_gets_its_reason_and_the_service_stays_up() {
    let (rig, _) = rig_with_rows(10).await;
    for (query, reason) in [
        ("DROP TABLE flows", "SQL_FORBIDDEN"),
        ("INSERT INTO flows SELECT * FROM flows", "SQL_FORBIDDEN"),
        ("CREATE TABLE x AS SELECT 1", "SQL_FORBIDDEN"),
        ("COPY flows TO '/tmp/netkeep-stolen.csv'", "SQL_FORBIDDEN"),
        ("SET datafusion.execution.batch_size = 1", "SQL_FORBIDDEN"),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "SQL_FORBIDDEN"),
        ("SELECT * FROM '/etc/passwd'", "SQL_INVALID"),
        ("SELECT 1; SELECT 2", "SQL_FORBIDDEN"),
        ("SELEC 1", "SQL_INVALID"),
        ("SELECT * FROM nothing", "SQL_INVALID"),
        ("SELECT 1/0", "SQL_FAILED"),
    ] {
        let answer = rig.post("/api/v1/sql", json!({"query": query})).await;
        assert_eq!(answer.reason(), reason, "{query}: {}", answer.json);
    }
    assert_eq!(rig.sql("SELECT 1").await, [[json!(1)]]);
}

#[tokio::test]
async fn an_answer_comes_in_the_format_that_is_asked_for() {
    let (rig, _) = rig_with_rows(3).await;
    let ask = async |accept: &str| {
        let request = rig.request(Method::POST, "/api/v1/sql").header("accept", accept);
        send(request.json(&json!({"query": "SELECT src, dst_port FROM flows ORDER BY src LIMIT 2"}))).await
    };
    let csv = ask("text/csv").await;
    assert_eq!(csv.json, json!("src,dst_port\n10.0.0.0,443\n10.0.0.1,443\n"));
    let lines = ask("application/x-ndjson").await;
    assert_eq!(lines.json, json!("{\"src\":\"10.0.0.0\",\"dst_port\":443}\n{\"src\":\"10.0.0.1\",\"dst_port\":443}\n"));
    let arrow = rig.request(Method::POST, "/api/v1/sql").header("accept", "application/vnd.apache.arrow.stream");
    let bytes =
        arrow.json(&json!({"query": "SELECT dst_port FROM flows"})).send().await.unwrap().bytes().await.unwrap();
    let rows: usize = arrow::ipc::reader::StreamReader::try_new(&bytes[..], None)
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    assert_eq!(rows, 3);
    assert_eq!(ask("image/png").await.reason(), "ACCEPT_UNSUPPORTED");
}
