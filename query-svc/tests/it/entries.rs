//! The entries of address lists: pages, lines, and the past.

use reqwest::Method;
use schemas::address_list::{ListEntry, Remaining};
use schemas::event::Event;
use schemas::id::AddressListId;
use schemas::kind::Kind;
use serde_json::{Value, json};

use crate::reads::{founded, made};
use crate::rig::{Rig, ulid};

fn id() -> AddressListId {
    AddressListId::new(ulid(1))
}

fn path() -> String {
    format!("/address-lists/{}/entries", id())
}

fn entry(address: &str) -> ListEntry {
    serde_json::from_value(json!({"address": address})).unwrap()
}

fn changed(removed: &[&str], added: Vec<ListEntry>) -> Event {
    let removed = removed.iter().map(|address| address.parse().unwrap()).collect();
    Event::EntriesChanged { id: id(), removed, added, remaining: Remaining::default() }
}

/// Founded (7 events), then: 8 the list, 9 three thousand entries, 10 one less and two more.
async fn listed() -> Rig {
    let mut rig = founded().await;
    rig.commit("usr_1", vec![made(Kind::AddressList, json!({"id": id(), "revision": 8, "name": "bad"}))]).await;
    let many = (0..3_000_u32).map(|number| entry(&format!("10.0.{}.{}", number / 256, number % 256))).collect();
    rig.commit("usr_1", vec![changed(&[], many)]).await;
    let commented = json!({"address": "9.0.0.0/8", "comment": "old net", "expires_at": "2026-12-01T00:00:00Z"});
    let more = vec![serde_json::from_value(commented).unwrap(), entry("2001:db8::/32")];
    rig.commit("usr_1", vec![changed(&["10.0.0.0"], more)]).await;
    rig.until("owner", "/system/status", |status| status["revision"] == 10).await;
    rig
}

#[tokio::test]
async fn entries_come_in_pages_by_address() {
    let rig = listed().await;
    let answer = rig.answer("viewer", &format!("{}?per_page=2", path())).await;
    assert_eq!(answer.headers()["etag"], "\"10\"");
    let page: Value = answer.json().await.unwrap();
    assert_eq!(
        page["data"],
        json!([{"address": "9.0.0.0/8", "comment": "old net", "expires_at": "2026-12-01T00:00:00Z"}, {"address": "10.0.0.1"}])
    );
    assert_eq!(page["meta"]["total"], 3_001);
    let last = rig.get("viewer", &format!("{}?per_page=100&page=31", path())).await;
    assert_eq!(last["data"], json!([{"address": "2001:db8::/32"}]));
    let list = rig.get("viewer", &format!("/address-lists/{}", id())).await;
    assert_eq!((&list["entries_count"], &list["revision"]), (&json!(3_001), &json!(10)));
    let known = rig.request(Method::GET, "viewer", &path()).header("if-none-match", "\"10\"");
    assert_eq!(known.send().await.unwrap().status(), 304);

    let holding = async |ip: &str| rig.get("viewer", &format!("{}?contains={ip}&fields=address", path())).await;
    assert_eq!(holding("9.1.2.3").await["data"], json!([{"address": "9.0.0.0/8"}]));
    assert_eq!(holding("2001:db8::7").await["meta"]["total"], 1);
    assert_eq!(holding("10.0.0.0").await["meta"]["total"], 0);
    assert_eq!(rig.get("viewer", &format!("{}?comment=old%20net", path())).await["meta"]["total"], 1);
    for bad in ["contains=here", "limit=5", "before_id=x", "colour=red"] {
        let refused = rig.refused("viewer", &format!("{}?{bad}", path())).await;
        assert_eq!(refused, (400, "QUERY_INVALID".to_owned()), "{bad}");
    }
    let none = format!("/address-lists/{}/entries", AddressListId::new(ulid(99)));
    assert_eq!(rig.refused("viewer", &none).await, (404, "RESOURCE_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn all_entries_come_as_lines() {
    let rig = listed().await;
    let lines = async |query: &str| {
        let request = rig.request(Method::GET, "viewer", &format!("{}{query}", path()));
        let answer = request.header("accept", "application/x-ndjson").send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"application/x-ndjson".parse().unwrap())
        );
        assert!(!answer.headers().contains_key("content-length"), "the body is made as it is taken");
        let text = answer.text().await.unwrap();
        text.lines().map(|line| serde_json::from_str::<ListEntry>(line).unwrap()).collect::<Vec<_>>()
    };
    let all = lines("").await;
    assert!(all.iter().eq(rig.state.entries(id()).map(AsRef::as_ref)));
    assert_eq!(all.len(), 3_001);
    assert_eq!(lines("?contains=10.0.3.4").await, [entry("10.0.3.4")]);
}

#[tokio::test]
async fn entries_have_a_past() {
    let rig = listed().await;
    let at = async |at: u64| {
        let answer = rig.answer("auditor", &format!("{}?at={at}&per_page=1", path())).await;
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        (etag, answer.json::<Value>().await.unwrap()["meta"]["total"].take())
    };
    assert_eq!(at(8).await, ("\"8\"".to_owned(), json!(0)));
    assert_eq!(at(9).await, ("\"9\"".to_owned(), json!(3_000)));
    assert_eq!(at(10).await, ("\"10\"".to_owned(), json!(3_001)));
    let history = rig.get("auditor", &format!("/address-lists/{}/history", id())).await;
    assert_eq!(history["data"][1]["changes"], json!([{"field": "entries_count", "before": 0, "after": 3_000}]));
}
