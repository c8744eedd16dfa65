//! Cases of the rule book, and the laws that hold for any sequence of commands.

use chrono::{DateTime, Duration, Utc};
use proptest::prelude::*;
use schemas::agent::{Outcome, Report};
use schemas::api_token::NewApiToken;
use schemas::device::{DevicePatch, Enrolment};
use schemas::id::{ApiTokenId, DeviceId, RuleId, SetupKeyId};
use schemas::kind::Kind;
use schemas::rule::{NewRule, RuleOrder, RulePatch};
use schemas::setup_key::{NewSetupKey, SetupKeyPatch};
use schemas::text::Name;
use schemas::zone::NewZone;
use serde_json::json;

use super::*;

/// The secret of the setup key that the first command after the founding creates.
fn secret() -> String {
    let id = SetupKeyId::new(id(1)).to_string();
    Secrets::new([7; 32]).derive(SecretKind::SetupKey, &ctx(1).org, &id)
}

fn ctx(n: u8) -> Context {
    Context {
        org: "acme".parse().expect("an org"),
        now: time(n),
        ulid: Ulid::from_parts(1_000 + u64::from(n), u128::from(n) << 32),
        role: Role::Owner,
        user_id: Some(UserId::new(Ulid::from_parts(1, 1))),
        credential: "tok".to_owned(),
        secrets: Secrets::new([7; 32]),
    }
}

fn time(n: u8) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::seconds(i64::from(n))
}

/// Decides commands one after the other; all but the last must be accepted.
fn run(commands: &[Command]) -> (OrgState, Result<Vec<Event>, Refusal>) {
    let mut org = OrgState::default();
    let mut last = Ok(Vec::new());
    for (n, command) in (1u8..).zip(commands) {
        last.clone().unwrap_or_else(|refusal| panic!("only the last may be refused: {refusal}"));
        last = decide(&org, command, &ctx(n));
        for event in last.iter().flatten() {
            let revision = org.revision + 1;
            org.apply_event(event, revision, time(n));
        }
    }
    (org, last)
}

fn founded(rest: impl IntoIterator<Item = Command>) -> Vec<Command> {
    let name = Name::new("Acme").expect("a name");
    std::iter::once(Command::CreateOrg { name }).chain(rest).collect()
}

/// Given a founded org and these commands, the last one ends like this.
fn check(commands: impl IntoIterator<Item = Command>, then: Result<&[&str], Refusal>) {
    let names = run(&founded(commands)).1.map(|events| events.iter().map(Event::name).collect::<Vec<_>>());
    assert_eq!(names, then.map(|names| names.iter().map(|name| (*name).to_owned()).collect()));
}

fn new_rule(name: &str) -> NewRule {
    read(json!({"name": name, "zone_from": "WAN", "zone_to": "LAN", "protocol": "tcp", "port": "23", "action": "drop"}))
}

fn create_rule(name: &str) -> Command {
    Command::CreateRule(new_rule(name))
}

/// The id of the resource that the `n`th command after the founding creates.
fn id(n: u8) -> Ulid {
    ctx(n + 1).id(0)
}

fn read<T: serde::de::DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("reads")
}

#[test]
fn an_org_begins_with_its_predefined_zones() {
    let (org, events) = run(&founded([]));
    assert_eq!(events.map(|events| events.len()), Ok(6));
    let names: Vec<&str> = org.zone_names.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["DMZ", "GUEST", "IOT", "LAN", "WAN"]);
    check([Command::CreateOrg { name: Name::new("Again").expect("a name") }], Err(Refusal::OrgExists(ctx(1).org)));
}

#[test]
fn nothing_is_created_in_an_org_that_is_not_there() {
    assert_eq!(run(&[create_rule("a")]).1, Err(Refusal::OrgMissing(ctx(1).org)));
}

#[test]
fn a_rule_goes_after_the_last_one_and_has_a_number_of_its_own() {
    let delete = Command::DeleteRule(RuleId::new(id(2)));
    let (org, _) = run(&founded([create_rule("a"), create_rule("b"), delete, create_rule("c")]));
    let rules: Vec<_> = org.ordered_rules().map(|rule| (rule.name.as_str(), rule.order, rule.number)).collect();
    assert_eq!(rules, [("a", 1, 1), ("c", 2, 3)]);
}

#[test]
fn two_rules_do_not_share_a_name() {
    let taken = Refusal::NameTaken { kind: Kind::Rule, name: "a".to_owned() };
    check([create_rule("a"), create_rule("a")], Err(taken.clone()));
    let rename = RulePatch { name: Name::new("a").ok(), ..RulePatch::default() };
    check([create_rule("a"), create_rule("b"), Command::UpdateRule(RuleId::new(id(2)), rename.clone())], Err(taken));
    check([create_rule("a"), Command::UpdateRule(RuleId::new(id(1)), rename)], Ok(&[]));
}

#[test]
fn a_rule_matches_something() {
    let rule = |change: Value| {
        let mut rule = json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
        rule.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        Command::CreateRule(read(rule))
    };
    check([rule(json!({"sources": []}))], Err(Refusal::ListEmpty("sources")));
    check([rule(json!({"destinations": []}))], Err(Refusal::ListEmpty("destinations")));
    check([rule(json!({"ports": [80]}))], Err(Refusal::PortsWithoutProtocol));
    check([rule(json!({"ports": [80], "protocol": "icmp"}))], Err(Refusal::PortsWithoutProtocol));
    check([rule(json!({"sources": ["10.0.0.1"], "destinations": ["::1"]}))], Err(Refusal::FamiliesDisjoint));
    check([rule(json!({"sources": ["10.0.0.1", "::2"], "destinations": ["::1"]}))], Ok(&["rule.created"]));
    let zone = "NOWHERE".to_owned();
    check([rule(json!({"zone_to": "NOWHERE"}))], Err(Refusal::ZoneUnknown { field: "zone_to", zone }));
    check([rule(json!({"zone_to": "LOCAL"}))], Ok(&["rule.created"]));
    check(
        [rule(json!({"sources": vec!["10.0.0.1"; 1_001]}))],
        Err(Refusal::ListTooLong { field: "sources", length: 1_001, max: 1_000 }),
    );
}

#[test]
fn an_order_names_every_rule_once_and_moves_what_moved() {
    let (a, b, c) = (RuleId::new(id(1)), RuleId::new(id(2)), RuleId::new(id(3)));
    let order = |rule_ids: &[RuleId]| Command::OrderRules(RuleOrder { rule_ids: rule_ids.to_vec() });
    let rules = [create_rule("a"), create_rule("b"), create_rule("c")];
    let with = |last: Command| rules.iter().cloned().chain([last]);
    check(with(order(&[a, b, c])), Ok(&[]));
    check(with(order(&[b, a, c])), Ok(&["rule.reordered"]));
    check(with(order(&[a, b])), Err(Refusal::OrderIncomplete { missing: vec![c], unknown: vec![], twice: vec![] }));
    check(
        with(order(&[a, b, c, c])),
        Err(Refusal::OrderIncomplete { missing: vec![], unknown: vec![], twice: vec![c] }),
    );
    let (org, events) = run(&founded(with(order(&[b, a, c]))));
    let names: Vec<_> = org.ordered_rules().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert!(matches!(&events.expect("accepted")[0], Event::RulesReordered { moved } if moved.len() == 2));
}

#[test]
fn a_zone_in_use_is_not_deleted() {
    let zone = Command::CreateZone(NewZone {
        name: "LAB".parse().expect("a zone"),
        description: Default::default(),
        metadata: Default::default(),
    });
    let rule = Command::CreateRule(NewRule { zone_to: "LAB".parse().expect("a zone"), ..new_rule("a") });
    let delete = Command::DeleteZone(schemas::id::ZoneId::new(id(1)));
    check([zone.clone(), delete.clone()], Ok(&["zone.deleted"]));
    let users = vec![RuleId::new(id(2)).to_string()];
    check([zone, rule, delete], Err(Refusal::InUse { kind: Kind::Zone, name: "LAB".to_owned(), users }));
    let lan = Command::DeleteZone(schemas::id::ZoneId::new(ctx(1).id(1)));
    check([lan], Err(Refusal::ZonePredefined("WAN".to_owned())));
}

fn setup_key(json: Value) -> Command {
    let mut key = json!({"name": "k"});
    key.as_object_mut().expect("an object").extend(json.as_object().expect("an object").clone());
    Command::CreateSetupKey(read::<NewSetupKey>(key))
}

fn enrol(name: &str, public_key: &str) -> Command {
    Command::EnrolDevice(read::<Enrolment>(json!({"setup_key": secret(), "public_key": public_key, "name": name})))
}

#[test]
fn a_setup_key_serves_as_often_as_it_says() {
    check([setup_key(json!({})), enrol("e", "U1")], Ok(&["device.enrolled", "setup_key.updated"]));
    check([setup_key(json!({})), enrol("e", "U1"), enrol("f", "U2")], Err(Refusal::SetupKeyOverused));
    check([setup_key(json!({})), enrol("e", "U1"), enrol("f", "U1")], Ok(&[]));
    check([setup_key(json!({"expires_in": 1})), enrol("e", "U1")], Err(Refusal::SetupKeyExpired));
    check([setup_key(json!({"usage_limit": 3}))], Err(Refusal::UsageLimitInvalid));
    check([setup_key(json!({"expires_at": "1970-01-01T00:00:00Z"}))], Err(Refusal::ExpiryInPast));
    check([enrol("e", "U1")], Err(Refusal::SetupKeyUnknown));
    let revoke = |revoked| {
        Command::UpdateSetupKey(SetupKeyId::new(id(1)), SetupKeyPatch { revoked: Some(revoked), ..Default::default() })
    };
    check([setup_key(json!({})), revoke(true), enrol("e", "U1")], Err(Refusal::SetupKeyRevoked));
    check([setup_key(json!({})), revoke(true), revoke(false)], Err(Refusal::RevocationFinal));
}

#[test]
fn the_second_host_of_a_name_gets_a_name_of_its_own() {
    let (org, _) = run(&founded([setup_key(json!({"type": "reusable"})), enrol("edge", "U1"), enrol("edge", "U2")]));
    assert_eq!(org.devices.len(), 2);
    assert_eq!(org.device_names.len(), 2);
}

#[test]
fn a_device_that_repeats_itself_adds_nothing() {
    let device = DeviceId::new(id(2));
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
    let (org, _) = run(&founded(with(&[report(7, failed()), report(8, Outcome::Applied)])));
    let device = org.devices.get(&device).expect("enrolled");
    assert_eq!((device.applied.as_ref().map(|it| it.revision), &device.failure), (Some(8), &None));
}

#[test]
fn a_report_is_of_a_revision_that_was_and_names_a_digest() {
    let report = |revision, hash: &str| {
        let report = Report { revision, hash: hash.to_owned(), outcome: Outcome::Applied, at: time(9) };
        Command::ReportConfig(DeviceId::new(id(2)), report)
    };
    let with = |last| [setup_key(json!({})), enrol("e", "U1"), last];
    check(with(report(9, &"ab".repeat(32))), Ok(&["device.config_applied"]));
    check(with(report(10, &"ab".repeat(32))), Err(Refusal::ReportInvalid));
    check(with(report(9, "ab")), Err(Refusal::ReportInvalid));
    check(with(report(9, &"é".repeat(32))), Err(Refusal::ReportInvalid));
}

#[test]
fn an_interface_is_listed_once_and_in_a_zone_that_exists() {
    let patch = |interfaces: Value| {
        Command::UpdateDevice(DeviceId::new(id(2)), read::<DevicePatch>(json!({"interfaces": interfaces})))
    };
    let with = |last: Command| [setup_key(json!({})), enrol("e", "U1"), last];
    check(with(patch(json!([{"name": "eth0", "zone": "WAN"}]))), Ok(&["device.updated"]));
    check(with(patch(json!([{"name": "eth0", "zone": "LOCAL"}]))), Err(Refusal::ZoneReserved { field: "interfaces" }));
    check(
        with(patch(json!([{"name": "eth0", "zone": "WAN"}, {"name": "eth0", "zone": "LAN"}]))),
        Err(Refusal::InterfaceTwice("eth0".to_owned())),
    );
}

#[test]
fn a_token_does_no_more_than_its_owner() {
    let new: NewApiToken = read(json!({"name": "t", "role": "admin"}));
    let (org, _) = run(&founded([]));
    let operator = Context { role: Role::Operator, ..ctx(9) };
    assert_eq!(decide(&org, &Command::CreateApiToken(new), &operator), Err(Refusal::RoleAboveOwn));

    let (org, _) = run(&founded([
        Command::CreateApiToken(read(json!({"name": "short", "expires_in": 60}))),
        Command::CreateApiToken(read(json!({"name": "owner"}))),
    ]));
    let [short, owner] = [1, 2].map(|n| ApiTokenId::new(id(n)));
    let child = |json| {
        let ctx = Context { credential: short.to_string(), ..ctx(9) };
        decide(&org, &Command::CreateApiToken(read(json)), &ctx).map(|events| match &events[..] {
            [Event::ApiTokenCreated { api_token, .. }] => api_token.expires_at,
            events => panic!("{events:?}"),
        })
    };
    let end = Ok(Some(time(2) + Duration::seconds(60)));
    assert_eq!(child(json!({"name": "c"})), end, "a child does not outlive its parent");
    assert_eq!(child(json!({"name": "c", "expires_in": 3_600})), end);
    assert_eq!(child(json!({"name": "c", "expires_in": 5})), Ok(Some(time(9) + Duration::seconds(5))));
    let above = Refusal::NotFound { kind: Kind::ApiToken, id: owner.to_string() };
    let viewer = Context { role: Role::Viewer, ..ctx(9) };
    assert_eq!(decide(&org, &Command::DeleteApiToken(owner), &viewer), Err(above), "nor touches what may do more");
}

/// Any command, about resources that may or may not be there.
fn any_command() -> impl Strategy<Value = Command> {
    let known = || (1u8..20).prop_map(id);
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    prop_oneof![
        4 => name().prop_map(create_rule),
        1 => (known(), name()).prop_map(|(id, name)| Command::ReplaceRule(RuleId::new(id), new_rule(name))),
        1 => known().prop_map(|id| Command::DeleteRule(RuleId::new(id))),
        1 => prop::collection::vec(known(), 0..5)
            .prop_map(|ids| Command::OrderRules(RuleOrder { rule_ids: ids.into_iter().map(RuleId::new).collect() })),
        1 => Just(setup_key(json!({"type": "reusable"}))),
        2 => (name(), name()).prop_map(|(name, key)| enrol(name, key)),
        1 => known().prop_map(|id| Command::DeleteDevice(DeviceId::new(id))),
        1 => known().prop_map(|id| Command::DeleteSetupKey(SetupKeyId::new(id))),
        1 => name().prop_map(|name| Command::CreateApiToken(read(json!({"name": name})))),
    ]
}

proptest! {
    #[test]
    fn any_sequence_of_commands_keeps_the_indexes_true(commands in prop::collection::vec(any_command(), 0..40)) {
        let mut org = OrgState::default();
        let mut log = Vec::new();
        for (n, command) in (1u8..).zip(founded(commands)) {
            for event in decide(&org, &command, &ctx(n)).into_iter().flatten() {
                let revision = org.revision + 1;
                org.apply_event(&event, revision, time(n));
                log.push((event, revision, time(n)));
            }
        }
        prop_assert_eq!(org.rules.len(), org.rule_names.len());
        prop_assert_eq!(org.rules.len(), org.rule_order.len());
        prop_assert_eq!(org.devices.len(), org.device_names.len());
        prop_assert_eq!(org.devices.len(), org.device_keys.len());
        prop_assert_eq!(org.setup_keys.len(), org.setup_key_names.len());
        prop_assert_eq!(org.setup_keys.len(), org.setup_key_hashes.len());
        let mut replayed = OrgState::default();
        for (event, revision, time) in &log {
            let stored = serde_json::to_string(event).expect("writes");
            replayed.apply_event(&serde_json::from_str(&stored).expect("reads"), *revision, *time);
        }
        prop_assert_eq!(format!("{org:?}"), format!("{replayed:?}"));
    }
}
