//! What goes wrong in one org is no other's trouble.

use bus::Bus;
use nkeys::KeyPair;
use schemas::id::{ApiTokenId, DeviceId, RuleId, UserId};
use schemas::kind::Kind;
use schemas::subjects;
use schemas::view::Desired;
use serde_json::{Value, json};

use crate::configs::{desired, pushed};
use crate::history::{History, deleted, model, read, ulid};
use crate::nats::{Nats, eventually};
use crate::running::Running;

async fn parked(bus: &Bus, key: &str) -> Option<Value> {
    let found = bus.bucket(subjects::PARKED_BUCKET).read(key).await.unwrap();
    found.map(|(_, value)| serde_json::from_slice(&value).unwrap())
}

/// An org with a device and a rule.
async fn org(bus: &Bus, name: &str) -> (History, DeviceId) {
    let (mut history, device) = (History::new(name), DeviceId::new(ulid()));
    let events = vec![history.org_created(), history.device_enrolled(device)];
    history.append(bus, events).await;
    let event = history.rule_created(RuleId::new(ulid()), 23);
    history.append(bus, vec![event]).await;
    (history, device)
}

#[tokio::test]
async fn a_config_that_is_too_large_is_parked_and_nothing_waits_for_it() {
    let (_nats, bus) = Nats::start_with(8 << 10).await;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::new_account();
    let ((mut large, heavy), (mut small, light)) = (org(&bus, "large").await, org(&bus, "small").await);
    let running = Running::start_with(&bus, folder.path(), &key).await;
    large.visible(&bus).await;
    let (first, hash) = pushed(&bus, &large.org, heavy, &key).await;

    let rules: Vec<RuleId> = (0..60).map(|_| RuleId::new(ulid())).collect();
    for rule in &rules {
        let event = large.rule_created(*rule, 80);
        large.append(&bus, vec![event]).await;
    }
    let event = large.token_created(ApiTokenId::new(ulid()), UserId::new(ulid()), "nk_large");
    large.append(&bus, vec![event]).await;
    let event = small.rule_created(RuleId::new(ulid()), 24);
    small.append(&bus, vec![event]).await;
    small.visible(&bus).await;
    large.visible(&bus).await;
    assert_eq!(pushed(&bus, &small.org, light, &key).await.0.ruleset.rules.len(), 2);
    let found = parked(&bus, &format!("config.large.{heavy}")).await.expect("it is parked");
    assert!(found["bytes"].as_u64().unwrap() > 8 << 10, "{found}");
    assert!(found["error"].as_str().unwrap().contains("a message at most 8192"), "{found}");
    // The device keeps a config that fits, and the read models say which.
    let (kept, kept_hash) = pushed(&bus, &large.org, heavy, &key).await;
    assert!(kept.revision >= first.revision && kept.ruleset.rules.len() < 60);
    let said = desired(&bus, &large.org, heavy).await;
    assert_eq!(said, Some(Desired { revision: kept.revision, hash: kept_hash }));

    for rule in rules {
        large.append(&bus, vec![deleted(rule)]).await;
    }
    large.visible(&bus).await;
    let (again, again_hash) = pushed(&bus, &large.org, heavy, &key).await;
    assert_eq!(again.ruleset.rules.len(), 1);
    assert!(again.revision > kept.revision && again_hash != hash);
    assert!(running.stop().await.values_parked.read() > 0);
}

#[tokio::test]
async fn a_read_model_and_an_event_that_are_too_large_are_parked_and_nothing_waits_for_them() {
    let (mut nats, bus) = Nats::start_with(64 << 10).await;
    let folder = tempfile::tempdir().unwrap();
    let (mut large, mut small) = (History::new("large"), History::new("small"));
    for history in [&mut large, &mut small] {
        let event = history.org_created();
        history.append(&bus, vec![event]).await;
    }
    let (rule, next) = (RuleId::new(ulid()), RuleId::new(ulid()));
    let mut event = serde_json::to_value(large.rule_created(rule, 23)).unwrap();
    event["data"]["rule"]["metadata"] = json!({"note": "x".repeat(4_000)});
    let position = large.append(&bus, vec![read(event)]).await;
    let event = large.rule_created(next, 24);
    large.append(&bus, vec![event]).await;

    let before = bus.connects();
    nats.kill();
    nats.start_again_with(4_096);
    eventually("the connection", async || (bus.connects() > before && bus.connected()).then_some(())).await;
    eventually("the log", async || bus.events().last_position().await.ok()).await;
    let running = Running::start(&bus, folder.path()).await;
    large.visible(&bus).await;
    small.visible(&bus).await;
    assert!(model(&bus, &large.org, Kind::Rule, &next.to_string()).await.is_some());
    assert_eq!(model(&bus, &large.org, Kind::Rule, &rule.to_string()).await, None);
    assert!(parked(&bus, &format!("state.large.rules.{rule}")).await.is_some(), "{position}");
    eventually("the feed", async || (bus.feed_end().await.ok()?.revision == 3).then_some(())).await;
    assert!(parked(&bus, "feed.large.2").await.is_some());
    let counts = running.stop().await;
    assert_eq!((counts.values_parked.read(), counts.feed_published.read()), (2, 3));
}

#[tokio::test]
async fn an_org_that_cannot_be_written_is_tried_again_beside_the_others() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::new_account();
    let ((mut stuck, device), (mut good, other)) = (org(&bus, "stuck").await, org(&bus, "good").await);
    // The bus takes no configs of one org.
    let raw = nats.raw().await;
    let mut config = raw.get_stream(subjects::DEVICES).await.unwrap().get_info().await.unwrap().config;
    let all = std::mem::replace(&mut config.subjects, vec!["device.good.*.config".to_owned()]);
    raw.update_stream(&config).await.unwrap();

    let event = stuck.token_created(ApiTokenId::new(ulid()), UserId::new(ulid()), "nk_stuck");
    stuck.append(&bus, vec![event]).await;
    let running = Running::start_with(&bus, folder.path(), &key).await;
    for port in 30..35 {
        let event = good.rule_created(RuleId::new(ulid()), port);
        good.append(&bus, vec![event]).await;
        good.visible(&bus).await;
    }
    assert_eq!(pushed(&bus, &good.org, other, &key).await.0.ruleset.rules.len(), 6);
    assert!(bus.bucket(subjects::STATE_BUCKET).read(&subjects::head_key(&stuck.org)).await.unwrap().is_none());

    config.subjects = all;
    raw.update_stream(&config).await.unwrap();
    stuck.visible(&bus).await;
    assert_eq!(pushed(&bus, &stuck.org, device, &key).await.0.ruleset.rules.len(), 1);
    running.stop().await;
}
