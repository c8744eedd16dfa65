//! The walkthrough of NetBird: each of its resources under its path, with its pages and its names for fields.

use reqwest::Method;
use serde_json::{Value, json};

use crate::device::SimDevice;
use crate::rig::{Answer, Rig, send};

/// As NetBird's documentation calls: a personal token with the scheme `Token`.
async fn call(rig: &Rig, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = rig.http.request(method, rig.url(path)).header("Authorization", format!("Token {}", rig.token));
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn create(rig: &Rig, path: &str, body: Value) -> Answer {
    let created = call(rig, Method::POST, path, Some(body)).await;
    assert_eq!(created.status, 201, "{path}: {}", created.json);
    created
}

/// The first page as NetBird cuts it.
async fn page(rig: &Rig, path: &str, after: &Answer, total: usize) -> Vec<Value> {
    rig.get_after(path, after).await;
    let page = call(rig, Method::GET, &format!("{path}?page=1&page_size=50"), None).await;
    assert_eq!(page.status, 200, "{path}: {}", page.json);
    let counted = ["page", "page_size", "total_records", "total_pages"].map(|name| page.json[name].as_u64());
    assert_eq!(counted, [Some(1), Some(50), Some(total as u64), Some(1)], "{path}: {}", page.json);
    let data = page.json["data"].as_array().unwrap();
    assert_eq!(data.len(), total);
    data.clone()
}

#[tokio::test]
async fn netbird() {
    let rig = Rig::start().await;
    let ops = create(&rig, "/api/groups", json!({"name": "ops"})).await;
    let key = create(
        &rig,
        "/api/setup-keys",
        json!({"name": "Default key", "type": "reusable", "expires_in": 86_400, "auto_groups": [ops.id()],
            "usage_limit": 10, "ephemeral": true}),
    )
    .await;
    assert_eq!((&key.json["state"], &key.json["type"]), (&json!("valid"), &json!("reusable")));
    let secret = key.json["key"].as_str().unwrap();
    let device = SimDevice::enrol(&rig, secret, "peer-one").await.enrolled.device;
    let peer = device.id.to_string();
    let renamed = call(&rig, Method::PATCH, &format!("/api/peers/{peer}"), Some(json!({"name": "gateway"}))).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json["name"]), (200, &json!("gateway")), "{}", renamed.json);
    let peers = page(&rig, "/api/peers", &renamed, 1).await;
    assert_eq!((&peers[0]["id"], &peers[0]["name"]), (&json!(peer), &json!("gateway")));
    assert_eq!(peers[0]["group_ids"], json!([ops.id()]), "the key's groups are the peer's");
    let one = call(&rig, Method::GET, &format!("/api/peers/{peer}"), None).await;
    assert_eq!((one.status.as_u16(), &one.json["id"]), (200, &json!(peer)));

    let servers = create(&rig, "/api/groups", json!({"name": "servers", "peers": [peer]})).await;
    let groups = page(&rig, "/api/groups", &servers, 2).await;
    let group = groups.iter().find(|group| group["name"] == "servers").unwrap();
    assert_eq!((&group["devices_count"], &group["devices"][0]["id"]), (&json!(1), &json!(peer)), "{group}");

    let rule = |name: &str, port: &str| {
        json!({"name": name, "enabled": true, "action": "accept", "bidirectional": name == "ssh", "protocol": "tcp",
            "ports": [port], "sources": [ops.id()], "destinations": [servers.id()]})
    };
    let rules = json!([rule("ssh", "22"), rule("web", "80-443"), rule("db", "5432")]);
    let policy =
        create(&rig, "/api/policies", json!({"name": "ops to servers", "enabled": true, "rules": rules})).await;
    let policies = page(&rig, "/api/policies", &policy, 1).await;
    let kept: Vec<_> = policies[0]["rules"].as_array().unwrap().iter().map(|rule| rule["name"].clone()).collect();
    assert_eq!(kept, ["ssh", "web", "db"], "all rules are kept, in order");
    assert_eq!(policies[0]["rules"][0]["bidirectional"], true);

    // Here a route is one of the peer's own, so that it says where the packets go, and has a name.
    let route = json!({"name": "office", "gateway": "10.64.0.1", "network_id": "Route 1", "description": "the office",
        "enabled": true, "peer": peer, "network": "10.64.0.0/24", "metric": 99, "masquerade": true});
    let route = create(&rig, "/api/routes", route).await;
    let routes = page(&rig, "/api/routes", &route, 1).await;
    assert_eq!((&routes[0]["device_id"], &routes[0]["network_id"]), (&json!(peer), &json!("Route 1")));

    let nameservers = json!({"name": "Google DNS", "description": "Google DNS servers", "enabled": true, "primary": true,
        "nameservers": [{"ip": "8.8.8.8", "ns_type": "udp", "port": 53}], "groups": [ops.id()], "domains": [],
        "search_domains_enabled": false});
    let nameservers = create(&rig, "/api/dns/nameservers", nameservers).await;
    let groups = page(&rig, "/api/dns/nameservers", &nameservers, 1).await;
    assert_eq!(groups[0]["nameservers"][0]["ip"], "8.8.8.8");
    let keys = page(&rig, "/api/setup-keys", &nameservers, 1).await;
    assert_eq!((&keys[0]["used_times"], &keys[0]["key"]), (&json!(1), &Value::Null), "the secret is shown once");

    let users = page(&rig, "/api/users", &nameservers, 1).await;
    assert_eq!(users[0]["role"], "owner");
    let events = call(&rig, Method::GET, "/api/events?page=1&page_size=5", None).await;
    assert_eq!(events.json["data"].as_array().unwrap().len(), 5);
    let (total, pages) = (events.json["total_records"].as_u64().unwrap(), events.json["total_pages"].as_u64().unwrap());
    assert!(total > 9 && pages == total.div_ceil(5), "{total} events on {pages} pages");

    for path in ["/api/routes", "/api/dns/nameservers", "/api/policies"] {
        let all = call(&rig, Method::GET, path, None).await;
        let id = all.json["data"][0]["id"].as_str().unwrap();
        assert_eq!(call(&rig, Method::DELETE, &format!("{path}/{id}"), None).await.status, 204, "{path}");
    }
    assert_eq!(call(&rig, Method::DELETE, &format!("/api/peers/{peer}"), None).await.status, 204);
}

#[tokio::test]
async fn netbird_errors() {
    let rig = Rig::start().await;
    let status = async |method, path, body| call(&rig, method, path, body).await.status.as_u16();
    assert_eq!(status(Method::POST, "/api/groups", Some(json!({"name": 7}))).await, 400);
    assert_eq!(status(Method::GET, "/api/peers/dev_01jcz3k9mv5x8q2w4e6r7t9y0a", None).await, 404);
    let other = send(rig.http.get(rig.url("/api/peers")).header("Authorization", "Token wrong")).await;
    assert_eq!(other.status, 401);
    let unknown = json!({"name": "p", "rules": [{"name": "r", "sources": ["grp_01jcz3k9mv5x8q2w4e6r7t9y0a"],
        "destinations": ["grp_01jcz3k9mv5x8q2w4e6r7t9y0a"]}]});
    let refused = call(&rig, Method::POST, "/api/policies", Some(unknown)).await;
    assert_eq!((refused.status.as_u16(), refused.reason()), (400, "REFERENCE_UNKNOWN"), "no id is dropped silently");
}
