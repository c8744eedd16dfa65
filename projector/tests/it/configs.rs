//! Devices get what they must enforce, once for each real change.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus::Bus;
use nkeys::KeyPair;
use schemas::config::{DeviceConfig, SignedConfig};
use schemas::digest::sha256_hex;
use schemas::event::Event;
use schemas::id::{AddressListId, DeviceId, FirewallId, GroupId, OrgId, RuleId, UserId};
use schemas::kind::Kind;
use schemas::subjects;
use schemas::view::Desired;
use serde_json::json;

use crate::history::{History, model, now, read, ulid};
use crate::nats::Nats;
use crate::running::Running;

/// Reads the last config of a device as the device does.
pub(crate) async fn pushed(bus: &Bus, org: &OrgId, device: DeviceId, key: &KeyPair) -> (DeviceConfig, String) {
    let message = bus.last_config(org, device).await.unwrap().expect("a config");
    let signed: SignedConfig = serde_json::from_slice(&message).unwrap();
    let public = KeyPair::from_public_key(&key.public_key()).unwrap();
    let signature = STANDARD.decode(signed.signature).unwrap();
    public.verify(signed.config.get().as_bytes(), &signature).expect("signed by the control plane");
    (serde_json::from_str(signed.config.get()).unwrap(), sha256_hex(signed.config.get().as_bytes()))
}

pub(crate) async fn desired(bus: &Bus, org: &OrgId, device: DeviceId) -> Option<Desired> {
    let found = bus.bucket(subjects::STATE_BUCKET).read(&subjects::desired_key(org, device)).await.unwrap();
    found.map(|(_, value)| serde_json::from_slice(&value).unwrap())
}

#[tokio::test]
async fn a_config_is_pushed_once_for_each_real_change() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::new_account();
    let mut history = History::new("acme");
    let org = history.org.clone();
    let (device, rule) = (DeviceId::new(ulid()), RuleId::new(ulid()));
    let events = vec![history.org_created()];
    history.append(&bus, events).await;
    let running = Running::start_with(&bus, folder.path(), &key).await;

    let event = history.device_enrolled(device);
    history.append(&bus, vec![event]).await;
    history.visible(&bus).await;
    let (config, hash) = pushed(&bus, &org, device, &key).await;
    assert_eq!((config.revision, config.ruleset.rules.len()), (2, 0));
    assert_eq!(desired(&bus, &org, device).await, Some(Desired { revision: 2, hash: hash.clone() }));

    // The device says so, somebody is created: no reason to push.
    let events = vec![history.config_applied(device, 2, &hash), history.user_created(UserId::new(ulid()))];
    history.append(&bus, events).await;
    let event = history.rule_created(rule, 23);
    history.append(&bus, vec![event]).await;
    history.visible(&bus).await;
    let (config, hash) = pushed(&bus, &org, device, &key).await;
    assert_eq!((config.revision, config.ruleset.rules.len()), (5, 1));
    assert_eq!(desired(&bus, &org, device).await, Some(Desired { revision: 5, hash: hash.clone() }));

    // An update that changes nothing on the device.
    let event = history.rule_updated(rule, 23);
    history.append(&bus, vec![event]).await;
    history.visible(&bus).await;
    assert_eq!(pushed(&bus, &org, device, &key).await.1, hash);
    assert_eq!(running.stop().await.configs_pushed.read(), 2);

    // A restart pushes nothing, and what happened meanwhile once.
    let running = Running::start_with(&bus, folder.path(), &key).await;
    for port in [24, 25] {
        let event = history.rule_updated(rule, port);
        history.append(&bus, vec![event]).await;
    }
    history.visible(&bus).await;
    let (config, _) = pushed(&bus, &org, device, &key).await;
    assert_eq!(config.revision, 8);
    let event = Event::Deleted { id: device.into(), secret_hash: None, public_key: Some(format!("U{device}")) };
    history.append(&bus, vec![event]).await;
    history.visible(&bus).await;
    assert_eq!(desired(&bus, &org, device).await, None);
    let counts = running.stop().await;
    assert!((1..=2).contains(&counts.configs_pushed.read()), "{}", counts.configs_pushed.read());
}

#[tokio::test]
async fn catching_up_pushes_the_newest_config_only() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::new_account();
    let mut history = History::new("acme");
    let org = history.org.clone();
    let devices: Vec<DeviceId> = (0..3).map(|_| DeviceId::new(ulid())).collect();
    let mut events = vec![history.org_created()];
    events.extend(devices.iter().map(|device| history.device_enrolled(*device)));
    history.append(&bus, events).await;
    for port in 1..=200 {
        let event = history.rule_created(RuleId::new(ulid()), port);
        history.append(&bus, vec![event]).await;
    }
    let running = Running::start_with(&bus, folder.path(), &key).await;
    history.visible(&bus).await;
    for device in &devices {
        let (config, hash) = pushed(&bus, &org, *device, &key).await;
        assert_eq!((config.revision, config.ruleset.rules.len()), (204, 200));
        assert_eq!(desired(&bus, &org, *device).await, Some(Desired { revision: 204, hash }));
    }
    assert_eq!(running.stop().await.configs_pushed.read(), 3);

    // A desired key that was lost with its bucket's tail comes back; the config itself is not pushed again.
    let key_name = subjects::desired_key(&org, devices[0]);
    bus.bucket(subjects::STATE_BUCKET).delete(&key_name).await.unwrap().await.unwrap();
    let running = Running::start_with(&bus, folder.path(), &key).await;
    crate::nats::eventually("the desired key", async || desired(&bus, &org, devices[0]).await).await;
    assert_eq!(running.stop().await.configs_pushed.read(), 0);
}

#[tokio::test]
async fn the_entries_of_a_list_reach_devices_and_are_no_read_models() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::new_account();
    let mut history = History::new("acme");
    let org = history.org.clone();
    let (device, list) = (DeviceId::new(ulid()), AddressListId::new(ulid()));
    let (group, firewall) = (GroupId::new(ulid()), FirewallId::new(ulid()));
    let mut in_group = serde_json::to_value(history.device_enrolled(device)).unwrap();
    in_group["data"]["device"]["group_ids"] = json!([group]);
    let named = |id: String, kind: &str, given: serde_json::Value| {
        let mut all = json!({"id": id, "revision": 2, "name": id, "created_at": now(), "updated_at": now()});
        all.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        read(json!({"type": format!("netkeep.{kind}.created.v1"), "data": {kind: all}}))
    };
    let guard = json!({"number": 7, "deny_lists": [list], "group_ids": [group]});
    let events = vec![
        history.org_created(),
        named(group.to_string(), "group", json!({})),
        read(in_group),
        named(list.to_string(), "address_list", json!({})),
        named(firewall.to_string(), "firewall", guard),
    ];
    history.append(&bus, events).await;
    let running = Running::start_with(&bus, folder.path(), &key).await;
    history.visible(&bus).await;
    assert_eq!(pushed(&bus, &org, device, &key).await.0.ruleset.rules.len(), 0, "an empty list denies nobody");

    let added =
        ["192.0.2.0/24", "198.51.100.7"].map(|address| serde_json::from_value(json!({"address": address})).unwrap());
    let event =
        Event::EntriesChanged { id: list, removed: Vec::new(), added: added.to_vec(), remaining: Default::default() };
    history.append(&bus, vec![event]).await;
    history.visible(&bus).await;
    let (config, _) = pushed(&bus, &org, device, &key).await;
    assert_eq!((config.ruleset.sets[0].spans.len(), config.ruleset.rules[0].number), (2, 7));
    let kept = model(&bus, &org, Kind::AddressList, &list.to_string()).await.unwrap();
    assert_eq!((&kept["entries_count"], kept.to_string().contains("192.0.2.0")), (&json!(2), false));
    running.stop().await;
}
