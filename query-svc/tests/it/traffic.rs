//! The newest flows, filtered and leafed through.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::reads::founded;
use crate::rig::Rig;
use crate::table::{HOUR_US, Row};

fn flow(number: u8) -> Row {
    Row {
        src: IpAddr::from([10, 0, number % 4, number]),
        verdict: if number.is_multiple_of(2) { "accept" } else { "drop" },
        protocol: if number.is_multiple_of(3) { 17 } else { 6 },
        dst_port: i32::from(number),
        domain: number.is_multiple_of(5).then(|| format!("host{number}.example.com")),
        // Several flows of one time.
        ..Row::at(HOUR_US + i64::from(number / 4) * 1_000_000)
    }
}

async fn rig() -> Rig {
    let mut rig = founded().await;
    let flows: Vec<Row> = (0..40).map(flow).collect();
    for (index, rows) in flows.chunks(10).enumerate() {
        rig.add_flows(&format!("f{index}"), rows).await;
    }
    rig
}

fn ports(body: &Value) -> Vec<i64> {
    body["data"].as_array().unwrap().iter().map(|flow| flow["destination_port"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn filters_choose_and_the_newest_come_first() {
    let rig = rig().await;
    let all = rig.get("viewer", "/traffic/logs").await;
    assert_eq!((all["data"].as_array().unwrap().len(), &all["meta"]["next_page_uri"]), (40, &Value::Null));
    assert_eq!(all["data"][0]["time"], json!("2026-11-21T13:00:09Z"));
    let first = rig.get("viewer", "/traffic/logs?src=10.0.3.7").await;
    assert_eq!(
        first["data"],
        json!([{
            "time": "2026-11-21T13:00:01Z", "duration_ms": 10, "action": "drop", "verdict_source": "kernel",
            "protocol": "tcp", "source_ip": "10.0.3.7", "source_port": 50_000, "destination_ip": "192.0.2.1",
            "destination_port": 7, "rule_id": null, "device_id": "dev_01jcz3k9mv5x8q2w4e6r7t9y0a",
            "direction": "forward", "interface": "eth0", "zone_from": "LAN", "zone_to": "WAN", "bytes_sent": 100,
            "bytes_received": 50, "packets_sent": 2, "packets_received": 1, "tcp_flags": 2, "icmp_type": null,
            "vlan": null, "started": true, "ended": false, "revision": 1, "domain": null
        }])
    );
    for (query, wanted) in [
        ("action=drop", 20),
        ("verdict=drop&protocol=udp", 7),
        ("proto=17", 14),
        ("protocol=all", 40),
        ("src=10.0.3.0/24", 10),
        ("ip=192.0.2.1", 40),
        ("ip=10.0.0.0-10.0.1.255", 20),
        ("dst=10.0.0.0/8", 0),
        ("port=7", 1),
        ("domain=host5.example.com", 1),
        ("domain=*.example.com", 8),
        ("since=2026-11-21T13:00:05Z&until=2026-11-21T13:00:06Z", 4),
        ("zone_from=LAN&zone_to=WAN&device=dev_01jcz3k9mv5x8q2w4e6r7t9y0a", 40),
        ("device=x' OR '1'='1", 0),
        ("rule=rule_01jcz3k9mv5x8q2w4e6r7t9y0a", 0),
        ("limit=3", 3),
    ] {
        let body = rig.get("viewer", &format!("/traffic/logs?{query}")).await;
        assert_eq!(body["data"].as_array().unwrap().len(), wanted, "{query}");
    }
    for bad in
        ["limit=0", "limit=501", "colour=red", "src=nonsense", "protocol=quic", "since=yesterday", "action=maybe"]
    {
        assert_eq!(
            rig.refused("viewer", &format!("/traffic/logs?{bad}")).await,
            (400, "QUERY_INVALID".to_owned()),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn pages_show_every_flow_once() {
    let rig = rig().await;
    let all = ports(&rig.get("viewer", "/traffic/logs?limit=100").await);
    for limit in [1, 3, 7, 39] {
        let mut seen = Vec::new();
        let mut path = format!("/traffic/logs?limit={limit}");
        loop {
            let body = rig.get("viewer", &path).await;
            seen.extend(ports(&body));
            match body["meta"]["next_page_uri"].as_str() {
                Some(next) => path = next.strip_prefix("/api/v1").unwrap().to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, all, "{limit}");
    }
}
