//! Setup keys, enrolment, and what devices say and are told.

use schemas::agent::{Outcome, Report};
use schemas::id::{DeviceId, GroupId, SetupKeyId};

use super::*;

#[test]
fn a_setup_key_serves_as_often_as_it_says() {
    check([setup_key(json!({})), enrol("e", "U1")], Ok(&["device.enrolled", "setup_key.updated"]));
    check([setup_key(json!({})), enrol("e", "U1"), enrol("f", "U2")], Err(Refusal::SetupKeyOverused));
    check([setup_key(json!({})), enrol("e", "U1"), enrol("f", "U1")], Ok(&[]));
    let twice = setup_key(json!({"type": "reusable", "usage_limit": 2}));
    check([twice.clone(), enrol("e", "U1"), enrol("f", "U2")], Ok(&["device.enrolled", "setup_key.updated"]));
    check([twice, enrol("e", "U1"), enrol("f", "U2"), enrol("g", "U3")], Err(Refusal::SetupKeyOverused));
    check([setup_key(json!({"expires_in": 1})), enrol("e", "U1")], Err(Refusal::SetupKeyExpired));
    check([setup_key(json!({"usage_limit": 3}))], Err(Refusal::UsageLimitInvalid));
    check([setup_key(json!({"expires_at": "1970-01-01T00:00:00Z"}))], Err(Refusal::ExpiryInPast));
    let both = json!({"expires_at": "1970-01-02T00:00:00Z", "expires_in": 5});
    check([setup_key(both)], Err(Refusal::ExpiryTwice));
    check([enrol("e", "U1")], Err(Refusal::SetupKeyUnknown));
    let revoke = |revoked| patch(at::<SetupKeyId>(1), json!({"revoked": revoked}));
    check([setup_key(json!({})), revoke(true), enrol("e", "U1")], Err(Refusal::SetupKeyRevoked));
    check([setup_key(json!({})), revoke(true), revoke(false)], Err(Refusal::RevocationFinal));
    check([setup_key(json!({})), delete(at::<SetupKeyId>(1)), enrol("e", "U1")], Err(Refusal::SetupKeyUnknown));
}

#[test]
fn the_expiry_of_a_key_is_changed_either_way() {
    let key = setup_key(json!({"expires_in": 100}));
    let id: SetupKeyId = at(1);
    let ends = |last: Command| {
        let (org, events) = run(&[key.clone(), last]);
        events.map(|_| org.setup_keys.get(&id).and_then(|key| key.expires_at))
    };
    assert_eq!(ends(patch(id, json!({"name": "other"}))), Ok(Some(time(102))));
    assert_eq!(ends(patch(id, json!({"expires_in": 5}))), Ok(Some(time(8))));
    assert_eq!(ends(patch(id, json!({"expires_at": null}))), Ok(None));
    assert_eq!(ends(patch(id, json!({"expires_at": time(500)}))), Ok(Some(time(500))));
    assert_eq!(ends(patch(id, json!({"expires_at": time(1)}))), Err(Refusal::ExpiryInPast));
}

#[test]
fn a_device_is_what_its_key_makes_it() {
    let group = create(Kind::Group, json!({"name": "g"}));
    let id: GroupId = at(1);
    let key = setup_key(json!({"auto_groups": [id], "ephemeral": true, "approval_required": true}));
    let enrolment = json!({"setup_key": secret(2), "public_key": "U1", "name": "e", "agent_version": "v".repeat(90)});
    let start = [group, key, Command::EnrolDevice(read(enrolment))];
    let (org, _) = run(&start);
    let device = org.devices.get(&at(3)).expect("enrolled");
    assert_eq!((device.group_ids.as_slice(), device.ephemeral, device.approved), ([id].as_slice(), true, false));
    assert_eq!(device.agent_version.len(), 50);
    let key = org.setup_keys.get(&at(2)).expect("there");
    assert_eq!((key.used_times, key.last_used_at), (1, Some(time(4))));

    let approve = patch(at::<DeviceId>(3), json!({"approved": true}));
    check(then(&start, approve.clone()), Ok(&["device.updated"]));
    check(then(&then(&start, approve.clone()), approve.clone()), Ok(&[]));
    // Nobody approves a device without saying so, nor takes that back.
    let settings = |settings| replace(at::<DeviceId>(3), settings);
    let approved = |commands: &[Command]| {
        let (org, events) = run(commands);
        events.expect("accepted");
        org.devices.get(&at(3)).map(|device| device.approved)
    };
    assert_eq!(approved(&then(&start, settings(json!({"name": "e", "location": "roof"})))), Some(false));
    assert_eq!(approved(&then(&start, patch(at::<DeviceId>(3), json!({"approved": null})))), Some(false));
    assert_eq!(approved(&then(&start, patch(at::<DeviceId>(3), json!({"name": "f"})))), Some(false));
    assert_eq!(approved(&then(&start, settings(json!({"name": "e", "approved": true})))), Some(true));
    let start = then(&start, approve);
    assert_eq!(approved(&then(&start, settings(json!({"name": "e", "location": "roof"})))), Some(true));
    assert_eq!(approved(&then(&start, settings(json!({"name": "e", "approved": false})))), Some(false));
    let start = &start[..3];
    // What its devices are put into is in use by the key.
    let users = vec![at::<SetupKeyId>(2).to_string()];
    let in_use = Refusal::InUse { kind: Kind::Group, name: "g".to_owned(), users };
    check(then(start, delete(id)), Err(in_use));
    let unknown = Refusal::ReferenceUnknown { field: "auto_group_ids", id: at::<GroupId>(9).into() };
    check([setup_key(json!({"auto_groups": [at::<GroupId>(9)]}))], Err(unknown));
}

#[test]
fn the_second_host_of_a_name_gets_a_name_of_its_own() {
    let start = [setup_key(json!({"type": "reusable"})), enrol("edge", "U1")];
    let second = at::<DeviceId>(3).to_string();
    let named = |name: &str| patch(at::<DeviceId>(2), json!({"name": name}));
    let (org, _) = run(&then(&start, enrol("edge", "U2")));
    let names: Vec<_> = org.devices.values().map(|device| device.name.to_string()).collect();
    assert_eq!(names, ["edge".to_owned(), format!("edge-{}", &second[second.len() - 8..])]);
    // Somebody has that name too.
    let id = at::<DeviceId>(5).to_string();
    let taken = [enrol("a", "U2"), named(&format!("a-{}", &id[id.len() - 8..])), enrol("a", "U3")];
    let (org, _) = run(&[&start[..], &taken[..]].concat());
    assert_eq!(org.devices.get(&at(5)).map(|device| device.name.to_string()), Some(id));
}

#[test]
fn a_key_pair_is_one_device() {
    let keys = [setup_key(json!({"type": "reusable"})), create(Kind::SetupKey, json!({"name": "l"})), enrol("e", "U1")];
    let with_other = json!({"setup_key": secret(2), "public_key": "U1", "name": "e"});
    check(then(&keys, Command::EnrolDevice(read(with_other))), Err(Refusal::DeviceKeyTaken));
    // A device that was removed may come again.
    let gone = then(&keys, delete(at::<DeviceId>(3)));
    check(then(&gone, enrol("e", "U1")), Ok(&["device.enrolled", "setup_key.updated"]));
    let (_, events) = run(&gone);
    assert!(matches!(&events.expect("accepted")[..], [Event::Deleted { public_key: Some(key), .. }] if key == "U1"));
    let settings = create(Kind::Device, json!({"name": "by hand"}));
    check([settings], Err(Refusal::Fixed("a device is not created but enrols itself")));
}

#[test]
fn a_device_that_repeats_itself_adds_nothing() {
    let device: DeviceId = at(2);
    let report = |revision: u64, outcome| {
        Command::ReportConfig(device, Report { revision, hash: "ab".repeat(32), outcome, at: time(9) })
    };
    let start = [setup_key(json!({})), enrol("e", "U1")];
    let with = |reports: &[Command]| start.iter().chain(reports).cloned().collect::<Vec<_>>();
    let failed = || Outcome::Failed { error: "no".to_owned() };
    check(with(&[report(7, Outcome::Applied)]), Ok(&["device.config_applied"]));
    check(with(&[report(7, Outcome::Applied), report(7, Outcome::Applied)]), Ok(&[]));
    check(with(&[report(7, failed())]), Ok(&["device.config_failed"]));
    check(with(&[report(7, failed()), report(7, failed())]), Ok(&[]));
    check(with(&[report(7, failed()), report(7, Outcome::Applied)]), Ok(&["device.config_applied"]));
    let (org, _) = run(&with(&[report(7, failed()), report(8, Outcome::Applied)]));
    let device = org.devices.get(&device).expect("enrolled");
    assert_eq!((device.applied.as_ref().map(|it| it.revision), &device.failure), (Some(8), &None));
}

#[test]
fn a_report_is_of_a_revision_that_was_and_names_a_digest() {
    let report = |revision, hash: &str| {
        let report = Report { revision, hash: hash.to_owned(), outcome: Outcome::Applied, at: time(9) };
        Command::ReportConfig(at(2), report)
    };
    let with = |last| [setup_key(json!({})), enrol("e", "U1"), last];
    check(with(report(9, &"ab".repeat(32))), Ok(&["device.config_applied"]));
    check(with(report(10, &"ab".repeat(32))), Err(Refusal::ReportInvalid));
    check(with(report(9, "ab")), Err(Refusal::ReportInvalid));
    check(with(report(9, &"é".repeat(32))), Err(Refusal::ReportInvalid));
    check([report(1, &"ab".repeat(32))], Err(not_found(at::<DeviceId>(2))));
}

#[test]
fn an_interface_is_listed_once_and_in_a_zone_that_exists() {
    let patch = |interfaces: Value| patch(at::<DeviceId>(2), json!({"interfaces": interfaces}));
    let with = |last: Command| [setup_key(json!({})), enrol("e", "U1"), last];
    check(with(patch(json!([{"name": "eth0", "zone": "WAN"}, {"name": "eth1"}]))), Ok(&["device.updated"]));
    check(with(patch(json!([{"name": "eth0", "zone": "LOCAL"}]))), Err(Refusal::ZoneReserved { field: "interfaces" }));
    check(
        with(patch(json!([{"name": "eth0", "zone": "WAN"}, {"name": "eth0", "zone": "LAN"}]))),
        Err(Refusal::InterfaceTwice("eth0".to_owned())),
    );
    let unknown = Refusal::ZoneUnknown { field: "interfaces", zone: "MARS".to_owned() };
    check(with(patch(json!([{"name": "eth0", "zone": "MARS"}]))), Err(unknown.clone()));
    let enrolment = json!({"setup_key": secret(1), "public_key": "U1", "name": "e",
        "interfaces": [{"name": "eth0", "zone": "MARS"}]});
    check([setup_key(json!({})), Command::EnrolDevice(read(enrolment))], Err(unknown));
}
