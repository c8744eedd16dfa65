//! SQL over HTTP: forms of answers, tables of the org, roles, and ends of queries.

use arrow::ipc::reader::StreamReader;
use query_svc::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::reads::{founded, rule};
use crate::rig::{Rig, refusal};
use crate::table::{HOUR_US, Row};

async fn rows(rig: &Rig, role: &str, query: &str) -> Value {
    let answer = rig.sql(role, query).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{query}: {text}");
    serde_json::from_str::<Value>(&text).unwrap()["data"].take()
}

#[tokio::test]
async fn an_answer_comes_in_four_forms() {
    let mut rig = founded().await;
    rig.add_flows("a", &[Row { rule: None, ..Row::at(HOUR_US) }, Row { protocol: 17, ..Row::at(HOUR_US + 1_500_000) }])
        .await;
    let query = "SELECT time, src, protocol, bytes_sent, rule, ['a', 'b'] AS list FROM flows ORDER BY time";
    let ask = async |accept: &str| {
        let request = rig.request(Method::POST, "viewer", "/sql").header("accept", accept);
        request.json(&json!({"query": query})).send().await.unwrap()
    };
    let answer = ask("application/json").await;
    assert_eq!(answer.headers()["netkeep-position"], "1");
    let mut body: Value = answer.json().await.unwrap();
    body["stats"]["elapsed_ms"] = 0.into();
    body["stats"]["bytes_scanned"] = 0.into();
    assert_eq!(
        body,
        json!({
            "columns": [
                {"name": "time", "type": "timestamp"}, {"name": "src", "type": "text"}, {"name": "protocol", "type": "text"},
                {"name": "bytes_sent", "type": "int64"}, {"name": "rule", "type": "text"}, {"name": "list", "type": "text[]"}
            ],
            "data": [
                ["2026-11-21T13:00:00Z", "10.0.0.1", "tcp", 100, null, ["a", "b"]],
                ["2026-11-21T13:00:01.500Z", "10.0.0.1", "udp", 100, null, ["a", "b"]]
            ],
            "stats": {"rows": 2, "elapsed_ms": 0, "files_total": 1, "files_scanned": 1, "bytes_scanned": 0, "position": 1}
        })
    );
    let lines = ask("application/x-ndjson").await.text().await.unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        (lines.lines().count(), &first["time"], &first["rule"]),
        (2, &json!("2026-11-21T13:00:00Z"), &Value::Null)
    );
    let csv = ask("text/csv").await.text().await.unwrap();
    assert_eq!(csv.lines().next(), Some("time,src,protocol,bytes_sent,rule,list"));
    assert_eq!(csv.lines().nth(1), Some("2026-11-21T13:00:00Z,10.0.0.1,tcp,100,,\"[a, b]\""));
    let arrow = ask("application/vnd.apache.arrow.stream").await.bytes().await.unwrap();
    let batches: Vec<_> = StreamReader::try_new(arrow.as_ref(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
    assert_eq!(refusal(ask("text/html").await).await, (406, "ACCEPT_UNSUPPORTED".to_owned()));
}

#[tokio::test]
async fn the_org_and_its_past_are_tables() {
    let mut rig = founded().await;
    let first = rule(&rig, 1, "Block Telnet", "drop");
    rig.commit("usr_1", vec![first.clone()]).await;
    rig.add_flows("a", &[Row { rule: Some(first.subject(&rig.org)), verdict: "drop", ..Row::at(HOUR_US) }]).await;
    let joined = "SELECT r.name, r.\"order\", r.ports, f.dst, e.actor FROM flows f JOIN rules r ON f.rule = r.id \
        JOIN events e ON e.subject = r.id WHERE f.verdict = 'drop'";
    assert_eq!(rows(&rig, "owner", joined).await, json!([["Block Telnet", 1, ["23"], "192.0.2.1", "usr_1"]]));
    let metadata = "SELECT metadata['team'], enabled, updated_at FROM rules";
    let found = rows(&rig, "owner", metadata).await;
    assert_eq!((&found[0][0], &found[0][1]), (&json!("edge"), &json!(true)));
    let names =
        rows(&rig, "owner", "SELECT name, kind, data LIKE '%Telnet%' FROM events ORDER BY revision DESC LIMIT 1").await;
    assert_eq!(names, json!([["rule.created", "rule", true]]));
    for table in ["zones", "devices", "setup_keys", "api_tokens", "users", "events", "flows", "rules"] {
        rows(&rig, "owner", &format!("SELECT * FROM {table}")).await;
    }
}

#[tokio::test]
async fn every_kind_is_a_table_with_its_fields_as_columns() {
    let rig = crate::kinds::with_every_kind().await;
    for resource in crate::kinds::golden() {
        let (table, id) = (resource.kind().plural(), resource.id().to_string());
        let query = format!("SELECT id, revision, created_at FROM {table} WHERE id = '{id}'");
        let found = rows(&rig, "owner", &query).await;
        assert_eq!((&found[0][0], &found[0][1]), (&json!(id), &json!(resource.revision())), "{table}");
        let whole = rig.sql("owner", &format!("SELECT * FROM {table} WHERE id = '{id}'")).await;
        let whole: Value = whole.json().await.unwrap();
        let names: Vec<&str> =
            whole["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
        let shown = rig.get("owner", &format!("{}/{id}", resource.kind().path())).await;
        for (field, value) in shown.as_object().unwrap() {
            let at = names.iter().position(|name| name == field).unwrap_or_else(|| panic!("{table}.{field}"));
            let cell = &whole["data"][0][at];
            assert_eq!(cell.is_null(), value.is_null(), "{table}.{field}: {cell} of {value}");
            if let (Some(text), true) = (cell.as_str(), value.is_object()) {
                assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), value, "{table}.{field}");
            }
        }
    }
    let special = "SELECT interface_names, interface_zones, in_sync, desired_revision, applied_revision, applied_at, \
        failure_error, failure_at, online, last_seen FROM devices";
    rows(&rig, "viewer", special).await;
}

#[tokio::test]
async fn a_role_sees_no_more_tables_than_resources() {
    let rig = founded().await;
    for (role, table) in [("viewer", "events"), ("viewer", "users"), ("auditor", "setup_keys")] {
        for query in [
            format!("SELECT * FROM {table}"),
            format!("SELECT (SELECT count(*) FROM {table})"),
            format!("DESCRIBE {table}"),
        ] {
            assert_eq!(refusal(rig.sql(role, &query).await).await, (403, "SQL_FORBIDDEN".to_owned()), "{query}");
        }
    }
    assert_eq!(rows(&rig, "viewer", "SELECT name FROM api_tokens").await, json!([["viewer's"]]));
    assert_eq!(rows(&rig, "admin", "SELECT count(*) FROM api_tokens").await, json!([[2]]));
}

#[tokio::test]
async fn an_org_runs_so_many_queries_and_a_caller_who_leaves_ends_theirs() {
    let rig = Rig::with(Config { sql_queries_max: 1, ..Config::default() }).await;
    let rig = crate::reads::found(rig).await;
    rows(&rig, "viewer", "SELECT 1").await;
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let body = json!({"query": endless});
    let request = rig.request(Method::POST, "viewer", "/sql").json(&body);
    let leaving = tokio::spawn(async move {
        // The slot may be taken by one of the short queries below.
        while request.try_clone().unwrap().send().await.unwrap().status() == 429 {}
    });
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let ask = async || rig.sql("viewer", "SELECT 1").await.status().as_u16();
    while ask().await != 429 {
        assert!(tokio::time::Instant::now() < deadline, "the first query never ran");
    }
    leaving.abort();
    while ask().await != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the first query never ended");
    }
}

#[tokio::test]
async fn the_rows_of_a_table_count_as_memory_of_the_query() {
    let mut rig =
        crate::reads::found(Rig::with(Config { sql_query_memory_bytes: 64 << 10, ..Config::default() }).await).await;
    let count = "SELECT count(*) FROM events";
    assert_eq!(rows(&rig, "auditor", count).await, json!([[7]]));
    let many = (1..=500).map(|number| rule(&rig, number, &format!("Rule {number}"), "drop")).collect();
    rig.commit("usr_1", many).await;
    for query in [count, "SELECT count(*) FROM rules"] {
        assert_eq!(refusal(rig.sql("auditor", query).await).await, (422, "SQL_MEMORY".to_owned()), "{query}");
    }
    assert_eq!(rows(&rig, "auditor", "SELECT 1").await, json!([[1]]));
}
