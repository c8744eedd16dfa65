//! Every kind of resource: its routes, who refers to it, and what of it nobody sees.

use bus::people::NewKey;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemas::access::Role;
use schemas::event::{Event, Recorded};
use schemas::id::{ApiTokenId, DeviceId, FirewallId, GroupId, RuleId};
use schemas::kind::Kind;
use schemas::resource::AnyResource;
use schemas::user::Person;
use serde_json::{Value, json};

use crate::reads::{deleted, device, founded, made, rule};
use crate::rig::{Rig, ulid, user};

/// The kinds that are resources, but for users and tokens, of which a founded org has some.
pub(crate) fn golden() -> Vec<AnyResource> {
    let kinds = Kind::ALL.iter().filter(|kind| !matches!(kind, Kind::Org | Kind::Event | Kind::Flow));
    kinds.filter_map(|kind| recorded(*kind)).collect()
}

fn recorded(kind: Kind) -> Option<AnyResource> {
    let verb = if kind == Kind::Device { "enrolled" } else { "created" };
    let path = format!("{}/../schemas/golden/{}.{verb}.v1.json", env!("CARGO_MANIFEST_DIR"), kind.singular());
    match Recorded::parse(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))) {
        Ok(Recorded { event: Event::Created { resource, .. }, .. }) => Some(resource),
        Ok(Recorded { event: Event::DeviceEnrolled { device }, .. }) => Some(device.into()),
        other => panic!("{path}: {other:?}"),
    }
}

pub(crate) async fn with_every_kind() -> Rig {
    let mut rig = founded().await;
    let created = golden().into_iter().map(|resource| Event::Created { resource, secret_hash: None }).collect();
    rig.commit("usr_1", created).await;
    let last = rig.state.revision;
    rig.until("owner", "/system/status", |status| status["revision"] == last).await;
    rig
}

#[tokio::test]
async fn every_kind_is_listed_shown_and_has_a_past() {
    let mut rig = with_every_kind().await;
    for resource in golden() {
        let (kind, id) = (resource.kind(), resource.id().to_string());
        let one = format!("{}/{id}", kind.path());
        let answer = rig.answer("owner", &one).await;
        assert_eq!(answer.status(), 200, "{one}");
        assert_eq!(answer.headers()["etag"], format!("\"{}\"", resource.revision()).as_str(), "{one}");
        assert_eq!(answer.headers()["content-type"], "application/json", "{one}");
        let shown: Value = answer.json().await.unwrap();
        assert_eq!(shown["id"], id.as_str(), "{one}");

        let list = rig.get("owner", &format!("{}?sort=-created_at", kind.path())).await;
        let listed = list["data"].as_array().unwrap().iter().find(|listed| listed["id"] == id.as_str());
        assert_eq!(listed, Some(&shown), "{}", kind.path());
        let plain = rig.get("owner", kind.path()).await;
        assert_eq!(plain["meta"]["total"], list["meta"]["total"]);
        assert!(plain["data"].as_array().unwrap().contains(&shown), "{}", kind.path());

        let some = rig.get("owner", &format!("{one}?fields=id,revision")).await;
        assert_eq!(some, json!({"id": id, "revision": resource.revision()}), "{one}");
        for bad in ["fields=colour", "colour=red", "at=soon"] {
            let refused = rig.refused("owner", &format!("{one}?{bad}")).await;
            assert_eq!(refused, (400, "QUERY_INVALID".to_owned()), "{one}?{bad}");
        }
        let known = rig.request(Method::GET, "owner", &one).header("if-none-match", resource.revision().to_string());
        let follows =
            !matches!(kind, Kind::Device | Kind::SetupKey | Kind::Group | Kind::Firewall | Kind::User | Kind::ApiToken);
        assert_eq!(known.send().await.unwrap().status(), if follows { 304 } else { 200 }, "{one}");

        let history = rig.get("owner", &format!("{one}/history")).await;
        assert_eq!(history["data"][0]["name"], format!("{}.created", kind.singular()), "{one}");
        rig.get("owner", &format!("{one}/used-by")).await;
    }
    let gone: Vec<Event> = golden().into_iter().map(|resource| deleted(resource.id())).collect();
    rig.commit("usr_1", gone).await;
    let last = rig.state.revision;
    rig.until("owner", "/system/status", |status| status["revision"] == last).await;
    for resource in golden() {
        let one = format!("{}/{}", resource.kind().path(), resource.id());
        assert_eq!(rig.refused("owner", &one).await, (404, "RESOURCE_NOT_FOUND".to_owned()), "{one}");
        let history = rig.get("owner", &format!("{one}/history")).await;
        assert_eq!(history["meta"]["total"], 2, "{one}");
        assert_eq!(rig.get("owner", &format!("{one}?at={}", last - 19)).await["id"], resource.id().to_string());
    }
}

#[tokio::test]
async fn a_page_of_stored_bytes_is_as_one_of_fields() {
    let mut rig = founded().await;
    let rules = (1..=120).map(|number| rule(&rig, number, &format!("Rule {number}"), "drop")).collect();
    rig.commit("usr_1", rules).await;
    rig.until("owner", "/firewall/rules", |rules| rules["meta"]["total"] == 120).await;
    for page in 1..=4 {
        let plain = rig.get("viewer", &format!("/firewall/rules?page={page}")).await;
        let asked = rig.get("viewer", &format!("/firewall/rules?page={page}&log=false")).await;
        assert_eq!(plain["data"], asked["data"], "page {page}");
        let counts = [50, 50, 20, 0];
        assert_eq!(plain["data"].as_array().unwrap().len(), counts[page - 1]);
    }
    let newest = rig.get("viewer", "/firewall/rules?limit=1").await;
    assert_eq!(newest["data"][0]["name"], "Rule 120");
    let text = rig.answer("viewer", &format!("/firewall/rules/{}", RuleId::new(ulid(7)))).await.text().await.unwrap();
    assert_eq!(text, serde_json::to_string(rig.state.rules.get(&RuleId::new(ulid(7))).unwrap()).unwrap());
}

/// A group with two devices, a firewall on it with a rule, and a token bound to it.
async fn grouped() -> (Rig, GroupId, FirewallId) {
    let mut rig = founded().await;
    let (group, firewall) = (GroupId::new(ulid(1)), FirewallId::new(ulid(1)));
    let device = |number, groups: &[GroupId]| {
        let mut device = device(number);
        device.group_ids = groups.to_vec();
        Event::DeviceEnrolled { device: device.into() }
    };
    let guard = rule(&rig, 1, "Guard", "drop");
    let Event::Created { resource: AnyResource::Rule(guard), .. } = guard else { panic!("{guard:?}") };
    let mut guard = guard.as_ref().clone();
    guard.firewall_id = Some(firewall);
    guard.sources = vec![group.to_string().parse().unwrap()];
    rig.commit(
        "usr_1",
        vec![
            made(Kind::Group, json!({"id": group, "revision": 8, "name": "edge"})),
            made(
                Kind::Firewall,
                json!({"id": firewall, "revision": 9, "name": "fence", "group_ids": [group], "denylist_enabled": true}),
            ),
            Event::Created { resource: guard.into(), secret_hash: None },
            device(1, &[group]),
            device(2, &[]),
            device(3, &[group]),
            made(
                Kind::ApiToken,
                json!({"id": ApiTokenId::new(ulid(9)), "revision": 14, "name": "scoped", "owner_id": user(4), "role": "viewer",
                    "prefix": "nk_", "scopes": [{"device_groups": [group]}]}),
            ),
        ],
    )
    .await;
    rig.until("owner", "/devices", |devices| devices["meta"]["total"] == 3).await;
    (rig, group, firewall)
}

#[tokio::test]
async fn groups_and_firewalls_show_what_is_theirs() {
    let (rig, group, firewall) = grouped().await;
    let shown = rig.get("viewer", &format!("/groups/{group}")).await;
    let ids = [DeviceId::new(ulid(1)), DeviceId::new(ulid(3))];
    assert_eq!((&shown["devices_count"], &shown["device_ids"]), (&json!(2), &json!(ids)));
    assert_eq!(shown["devices"][1], json!({"id": ids[1], "name": "edge-3"}));
    assert_eq!(shown["used"], 3);
    assert_eq!(rig.get("viewer", &format!("/firewalls/{firewall}")).await["rules_count"], 1);
    assert_eq!(rig.get("viewer", "/firewalls?rules_count=1").await["meta"]["total"], 1);
}

#[tokio::test]
async fn what_refers_to_a_resource_is_listed_with_its_fields() {
    let (rig, group, firewall) = grouped().await;
    let used = rig.get("viewer", &format!("/groups/{group}/used-by")).await;
    let ids = |used: &Value| -> Vec<String> {
        used["data"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    };
    let expected = json!({"id": firewall, "kind": "firewall", "name": "fence", "fields": ["group_ids"]});
    assert_eq!(used["data"][0], expected);
    assert_eq!(used["data"][1]["fields"], json!(["sources"]));
    // Somebody else's token refers to it too.
    assert_eq!(ids(&used).len(), 4, "{used}");
    assert_eq!(ids(&rig.get("owner", &format!("/groups/{group}/used-by")).await).len(), 5);
    let devices = rig.get("viewer", &format!("/groups/{group}/used-by?kind=device&fields=name")).await;
    assert_eq!(devices["data"], json!([{"name": "edge-1"}, {"name": "edge-3"}]));

    let zones = rig.get("viewer", "/zones?name=WAN").await;
    let wan = format!("/firewall/zones/{}/used-by", zones["data"][0]["id"].as_str().unwrap());
    let used = rig.get("viewer", &wan).await;
    assert_eq!(
        used["data"][0],
        json!({"id": RuleId::new(ulid(1)), "kind": "rule", "name": "Guard", "fields": ["zone_from"]})
    );
    assert_eq!(used["meta"]["total"], 4);
    let none = format!("/groups/{}/used-by", GroupId::new(ulid(99)));
    assert_eq!(rig.refused("viewer", &none).await, (404, "RESOURCE_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_token_that_is_bound_to_groups_sees_no_other_devices() {
    let (mut rig, group, _) = grouped().await;
    rig.give_bound("bound", 4, Role::Owner, json!({"device_groups": [group]}));
    assert_eq!(rig.get("bound", "/devices").await["meta"]["total"], 2);
    assert_eq!(rig.get("bound", "/system/status").await["devices"]["total"], 2);
    let [inside, outside] = [1, 2].map(|number| format!("/devices/{}", DeviceId::new(ulid(number))));
    rig.get("bound", &inside).await;
    // The audit trail is of the whole org, a device's own part of it too.
    for path in ["/events".to_owned(), format!("{inside}/history")] {
        assert_eq!(rig.refused("bound", &path).await, (403, "SCOPE_FORBIDS".to_owned()), "{path}");
    }
    for path in [outside.clone(), format!("{outside}/used-by")] {
        assert_eq!(rig.refused("bound", &path).await, (404, "RESOURCE_NOT_FOUND".to_owned()), "{path}");
    }
    let flows = [1, 2].map(|number| crate::table::Row {
        device: DeviceId::new(ulid(number)).to_string(),
        ..crate::table::Row::at(crate::table::HOUR_US)
    });
    rig.add_flows("a", &flows).await;
    let count = async |role: &str| {
        let answer =
            rig.sql(role, "SELECT (SELECT count(*) FROM flows) AS f, (SELECT count(*) FROM devices) AS d").await;
        let body: Value = answer.json().await.unwrap();
        assert!(body["data"].is_array(), "{body}");
        body["data"][0].clone()
    };
    assert_eq!(count("owner").await, json!([2, 3]));
    assert_eq!(count("bound").await, json!([1, 2]));
    assert_eq!(rig.get("bound", "/traffic/logs").await["data"].as_array().unwrap().len(), 1);

    rig.give_bound("narrow", 4, Role::Owner, json!({"kinds": ["rule"]}));
    rig.get("narrow", "/firewall/rules").await;
    assert_eq!(rig.refused("narrow", "/devices").await, (403, "SCOPE_FORBIDS".to_owned()));
    let refused = crate::rig::refusal(rig.sql("narrow", "SELECT * FROM flows").await).await;
    assert_eq!(refused, (403, "SCOPE_FORBIDS".to_owned()));
}

#[tokio::test]
async fn people_have_names_and_keep_what_is_sealed() {
    let mut rig = founded().await;
    let people = rig.bus.people();
    let key = NewKey::random().unwrap();
    people.keep(&rig.org, &key).await.unwrap();
    let ann: Person = serde_json::from_value(json!({"name": "Ann", "email": "ann@example.com"})).unwrap();
    let sealed = key.seal(&rig.org, &ann).unwrap();
    let (id, hash) = (user(7), "ab".repeat(32));
    let stored = json!({
        "id": id, "revision": 8, "role": "viewer", "person": sealed, "email_hash": hash, "subject_hash": hash
    });
    rig.commit("usr_1", vec![made(Kind::User, stored)]).await;
    let used: DateTime<Utc> = "2026-11-21T13:05:00Z".parse().unwrap();
    let token = ApiTokenId::new(ulid(4));
    for used_id in [id.to_string(), token.to_string()] {
        rig.bus.uses().put(&rig.org, &used_id, used).await.unwrap().await.unwrap();
    }
    let one = format!("/users/{id}");
    rig.until("owner", "/users", |users| users["meta"]["total"] == 3).await;
    let shown = rig.until("auditor", &one, |shown| shown["name"] == "Ann" && !shown["last_sign_in_at"].is_null()).await;
    assert_eq!(
        (&shown["email"], &shown["last_sign_in_at"]),
        (&json!("ann@example.com"), &json!("2026-11-21T13:05:00Z"))
    );
    assert_eq!(rig.get("owner", &format!("/api-tokens/{token}")).await["last_used_at"], "2026-11-21T13:05:00Z");
    let sql = rig.sql("auditor", "SELECT * FROM users WHERE name = 'Ann'").await.text().await.unwrap();
    let history = rig.get("auditor", &format!("{one}/history")).await;
    for text in [shown.to_string(), rig.get("auditor", "/users").await.to_string(), sql, history.to_string()] {
        assert!(text.contains("viewer"), "{text}");
        for hidden in ["person", "email_hash", "subject_hash", hash.as_str(), &sealed.text] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
    let refused = rig.refused("auditor", "/users?email_hash=x").await;
    assert_eq!(refused, (400, "QUERY_INVALID".to_owned()));
    people.erase(&rig.org, key.id()).await.unwrap();
    rig.until("auditor", &one, |shown| shown["name"].is_null()).await;
}
