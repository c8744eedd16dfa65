//! Orgs that nobody writes to leave memory, and are themselves again with their next commit.

use nkeys::KeyPair;
use projector::Config;
use schemas::event::Event;
use schemas::id::{DeviceId, RuleId};
use schemas::kind::Kind;

use crate::configs::pushed;
use crate::history::{History, deleted, model, ulid};
use crate::nats::{Nats, eventually};
use crate::running::Running;

/// Lets every org rest as soon as the log is quiet.
fn sleepy() -> Config {
    Config { orgs_awake_max: 0, org_idle_s: 0, ..Config::default() }
}

async fn rested(running: &Running, count: u64) {
    eventually("the orgs rest", async || (running.counts.orgs_rested.read() >= count).then_some(())).await;
}

#[tokio::test]
async fn an_org_that_rested_gets_its_next_commits_right() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::new_account();
    let (mut acme, mut other) = (History::new("acme"), History::new("other"));
    let (device, first, second) = (DeviceId::new(ulid()), RuleId::new(ulid()), RuleId::new(ulid()));
    let events = vec![acme.org_created(), acme.device_enrolled(device), acme.rule_created(first, 23)];
    // Each event is of a revision of its own.
    for event in events {
        acme.append(&bus, vec![event]).await;
    }
    let event = other.org_created();
    other.append(&bus, vec![event]).await;

    let running = Running::start_as(&bus, folder.path(), &key, sleepy()).await;
    acme.visible(&bus).await;
    other.visible(&bus).await;
    rested(&running, 2).await;
    let before = running.counts.configs_pushed.read();
    assert_eq!(before, 1);

    // A rule that comes is pushed beside the one that was there.
    let event = acme.rule_created(second, 80);
    acme.append(&bus, vec![event]).await;
    acme.visible(&bus).await;
    let (config, _) = pushed(&bus, &acme.org, device, &key).await;
    let numbers: Vec<_> = config.ruleset.rules.iter().map(|rule| rule.id).collect();
    assert_eq!((config.revision, numbers), (acme.state.revision, vec![first.into(), second.into()]));
    assert_eq!(running.counts.configs_pushed.read(), before + 1);

    // What changes nothing for devices pushes nothing, though what they were told was forgotten.
    rested(&running, 3).await;
    let (_, hash) = pushed(&bus, &acme.org, device, &key).await;
    let event = acme.config_applied(device, config.revision, &hash);
    acme.append(&bus, vec![event]).await;
    acme.visible(&bus).await;
    assert_eq!(running.counts.configs_pushed.read(), before + 1);
    let shown = model(&bus, &acme.org, Kind::Device, &device.to_string()).await;
    assert_eq!(shown, Some(serde_json::to_value(acme.state.devices.get(&device).unwrap()).unwrap()));

    // What goes is seen by what it was: the device loses the rule.
    rested(&running, 4).await;
    acme.append(&bus, vec![deleted(first)]).await;
    acme.visible(&bus).await;
    let (config, _) = pushed(&bus, &acme.org, device, &key).await;
    assert_eq!(config.ruleset.rules.iter().map(|rule| rule.id).collect::<Vec<_>>(), [second.into()]);
    assert_eq!(model(&bus, &acme.org, Kind::Rule, &first.to_string()).await, None);
    assert_eq!(running.counts.events_parked.read(), 0);
    running.stop().await;
}

#[tokio::test]
async fn an_org_that_rests_is_compiled_after_a_restart_and_rests_no_sooner_than_it_may() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::new_account();
    let mut histories: Vec<History> = (0..3).map(|n| History::new(&format!("org{n}"))).collect();
    let mut devices = Vec::new();
    let running = Running::start_as(&bus, folder.path(), &key, sleepy()).await;
    for history in &mut histories {
        let event = history.org_created();
        history.append(&bus, vec![event]).await;
        let device = DeviceId::new(ulid());
        let event: Event = history.device_enrolled(device);
        history.append(&bus, vec![event]).await;
        history.visible(&bus).await;
        devices.push(device);
    }
    rested(&running, 3).await;
    running.stop().await;

    // With another key every device needs another signature: who rests at once would not give it.
    let key = KeyPair::new_account();
    let config = Config { orgs_awake_max: 2, org_idle_s: 0, ..Config::default() };
    let running = Running::start_as(&bus, folder.path(), &key, config).await;
    eventually("all configs", async || (running.counts.configs_pushed.read() >= 3).then_some(())).await;
    for (history, device) in histories.iter().zip(&devices) {
        pushed(&bus, &history.org, *device, &key).await;
    }
    rested(&running, 1).await;
    for history in &mut histories {
        let event = history.rule_created(RuleId::new(ulid()), 22);
        history.append(&bus, vec![event]).await;
        history.visible(&bus).await;
    }
    for (history, device) in histories.iter().zip(&devices) {
        assert_eq!(pushed(&bus, &history.org, *device, &key).await.0.ruleset.rules.len(), 1);
    }
    running.stop().await;
}
