//! What a device may do on the bus, tried with a raw NATS client: its own subjects, and no others'.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use futures::StreamExt;
use reqwest::Method;
use serde_json::json;

use crate::device::{SimDevice, try_enrol};
use crate::rig::{Rig, send, wait_for};

/// A client with a device's key, and what the server reproaches it for.
async fn raw(rig: &Rig, device: &SimDevice) -> (Client, Arc<Mutex<Vec<String>>>) {
    let reproaches = Arc::new(Mutex::new(Vec::new()));
    let heard = reproaches.clone();
    let options = ConnectOptions::with_nkey(device.seed.clone())
        .custom_inbox_prefix(format!("_INBOX_{}", device.enrolled.device.id))
        .request_timeout(Some(Duration::from_secs(2)))
        .event_callback(move |event| {
            let heard = heard.clone();
            async move {
                if let Event::ServerError(error) = event {
                    heard.lock().unwrap().push(error.to_string().to_lowercase());
                }
            }
        });
    let client = options.connect(format!("nats://{}", rig.nats)).await.unwrap();
    (client, reproaches)
}

#[tokio::test]
async fn a_device_reaches_nothing_of_another() {
    let rig = Rig::start().await;
    let key = rig.setup_key("fleet").await;
    let (mine, theirs) = (SimDevice::enrol(&rig, &key, "a").await, SimDevice::enrol(&rig, &key, "b").await);
    let (client, reproaches) = raw(&rig, &mine).await;
    let (me, them) = (mine.enrolled.device.id, theirs.enrolled.device.id);

    let forbidden_publish = [
        format!("agent.default.{them}.report"),
        format!("agent.other.{me}.report"),
        format!("flows.default.{them}"),
        format!("device.default.{me}.config"),
        format!("device.default.{them}.config"),
        "events.default".to_owned(),
        "files.default".to_owned(),
        "feed.default.rules.x.created".to_owned(),
        "$KV.state-v1.default.head.head".to_owned(),
        "$JS.API.STREAM.LIST".to_owned(),
        "$JS.API.STREAM.PURGE.EVENTS".to_owned(),
        format!("$JS.API.DIRECT.GET.DEVICES.device.default.{them}.config"),
        "$JS.API.DIRECT.GET.EVENTS.events.default".to_owned(),
        "$SYS.REQ.USER.AUTH".to_owned(),
    ];
    for subject in &forbidden_publish {
        client.publish(subject.clone(), "x".into()).await.unwrap();
    }
    let forbidden_subscribe = [
        format!("device.default.{them}.>"),
        "device.>".to_owned(),
        "agent.>".to_owned(),
        "flows.>".to_owned(),
        "events.>".to_owned(),
        "$KV.>".to_owned(),
        format!("_INBOX_{them}.>"),
        "_INBOX.>".to_owned(),
        ">".to_owned(),
    ];
    let mut listening = Vec::new();
    for subject in &forbidden_subscribe {
        listening.push(client.subscribe(subject.clone()).await.unwrap());
    }
    client.flush().await.unwrap();
    for subject in forbidden_publish.iter().chain(&forbidden_subscribe) {
        let subject = subject.to_lowercase();
        let told = async || reproaches.lock().unwrap().iter().any(|it| it.contains(&format!("\"{subject}\"")));
        wait_for(&format!("the refusal of {subject}"), told).await;
    }

    // What is its own, it may: the config that was made for it, and a report that is answered.
    let own = format!("$JS.API.DIRECT.GET.DEVICES.device.default.{me}.config");
    wait_for("a config of its own", async || {
        client
            .request(own.clone(), "".into())
            .await
            .is_ok_and(|answer| answer.status.is_none() && !answer.payload.is_empty())
    })
    .await;
    let report = json!({"revision": 1, "hash": "ab".repeat(32), "outcome": {"outcome": "applied"}, "at": "2026-01-01T00:00:00Z"});
    let answer = client.request(format!("agent.default.{me}.report"), report.to_string().into()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer.payload).contains("recorded"), "{:?}", answer.payload);
}

/// A reply subject is a place where somebody else publishes on the device's behalf.
#[tokio::test]
async fn a_device_has_nothing_delivered_where_it_may_not_publish() {
    let rig = Rig::start().await;
    let device = SimDevice::enrol(&rig, &rig.setup_key("fleet").await, "a").await;
    let (client, _) = raw(&rig, &device).await;
    let me = device.enrolled.device.id;
    let report = json!({"revision": 1, "hash": "ab".repeat(32), "outcome": {"outcome": "applied"}, "at": "2026-01-01T00:00:00Z"});
    let asks = [
        (format!("agent.default.{me}.report"), report.to_string()),
        (format!("flows.default.{me}"), "not a batch".to_owned()),
        (format!("$JS.API.DIRECT.GET.DEVICES.device.default.{me}.config"), String::new()),
    ];
    for target in ["events.default", "files.default", "$KV.state-v1.default.head.head", "feed.default.rules.x.created"]
    {
        for (subject, payload) in &asks {
            client.publish_with_reply(subject.clone(), target, payload.clone().into()).await.unwrap();
        }
    }
    client.flush().await.unwrap();
    // The report was read, so that its answer went somewhere; what else would have come has come before.
    let reported = async || rig.get("/api/v1/events?type=device.config_applied").await.json["meta"]["total"] == 1;
    wait_for("the report to be read", reported).await;
    let rule = json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
    let created = rig.post("/api/v1/firewall/rules", rule).await;
    assert_eq!(created.status, 201, "{}", created.json);
    assert_eq!(rig.get_after("/api/v1/history/verify", &created).await.json["ok"], true);
    let last: u64 = created.header("netkeep-position").parse().unwrap();
    assert_eq!(last, 7, "founding, owner, token, setup key, device, report and this rule, and nothing else");
}

#[tokio::test]
async fn who_is_not_enrolled_does_not_get_in() {
    let rig = Rig::start().await;
    let url = format!("nats://{}", rig.nats);
    let stranger = nkeys::KeyPair::new_user().seed().unwrap();
    assert!(ConnectOptions::with_nkey(stranger).connect(&url).await.is_err());
    assert!(ConnectOptions::new().connect(&url).await.is_err());
    assert!(ConnectOptions::with_token("nk_x".to_owned()).connect(&url).await.is_err());
    let unknown = try_enrol(&rig, "nks_unknown", "x", &nkeys::KeyPair::new_user().public_key()).await;
    assert_eq!((unknown.status.as_u16(), unknown.reason()), (401, "SETUP_KEY_UNKNOWN"));
    let key = rig.setup_key("fleet").await;
    let malformed = try_enrol(&rig, &key, "x", "U123").await;
    assert_eq!((malformed.status.as_u16(), malformed.reason()), (400, "DEVICE_KEY_INVALID"));
}

#[tokio::test]
async fn a_deleted_device_is_cut_off_at_once_and_stays_out() {
    let rig = Rig::start().await;
    let device = SimDevice::enrol(&rig, &rig.setup_key("fleet").await, "a").await;
    let (client, _) = raw(&rig, &device).await;
    let mut configs = client.subscribe(format!("device.default.{}.>", device.enrolled.device.id)).await.unwrap();
    client.flush().await.unwrap();
    let path = format!("/api/v1/devices/{}", device.enrolled.device.id);
    assert_eq!(send(rig.request(Method::DELETE, &path)).await.status, 204);
    wait_for("the connection to end", async || client.connection_state() != async_nats::connection::State::Connected)
        .await;
    let url = format!("nats://{}", rig.nats);
    assert!(ConnectOptions::with_nkey(device.seed.clone()).connect(url).await.is_err());
    assert!(futures::future::poll_immediate(configs.next()).await.is_none_or(|message| message.is_none()));
}

#[tokio::test]
async fn a_device_that_enrols_again_with_its_key_is_the_same_device() {
    let rig = Rig::start().await;
    let key = rig.setup_key("fleet").await;
    let public = nkeys::KeyPair::new_user().public_key();
    let first = try_enrol(&rig, &key, "a", &public).await;
    let again = try_enrol(&rig, &key, "a", &public).await;
    assert_eq!((first.status.as_u16(), &first.json), (201, &again.json));
    let keys = rig.get_after("/api/v1/setup-keys", &first).await;
    assert_eq!(keys.json["data"][0]["used_times"], 1);
}
