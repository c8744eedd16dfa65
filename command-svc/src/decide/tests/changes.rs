//! Patches, batches and revisions: alike for every kind.

use schemas::id::{RuleId, ZoneId, ZonePolicyId};

use super::*;

#[test]
fn a_patch_changes_what_it_names_and_null_is_the_default() {
    let id: RuleId = at(1);
    let full = create(
        Kind::Rule,
        with(rule("a"), json!({"description": "d", "log": true, "tags": ["x"], "sources": ["10.0.0.1"]})),
    );
    let patched = |json: Value| {
        let (org, events) = run(&[full.clone(), patch(id, json)]);
        events.map(|_| schemas::rule::Rule::clone(org.rules.get(&id).expect("there")))
    };
    let after = patched(json!({"log": null, "description": null, "source": null})).expect("accepted");
    assert_eq!((after.log, after.description.as_str(), after.tags.len()), (false, "", 1));
    assert_eq!(json!(after.sources), json!(["any"]));
    let after = patched(json!({"port": "80,443", "destination": "10.0.0.0/8"})).expect("accepted");
    assert_eq!(json!([after.ports, after.destinations]), json!([["80", "443"], ["10.0.0.0/8"]]));
    assert_eq!((after.number, after.order), (1, 1));
    let field = |json: Value| patched(json).expect_err("refused").field().map(|field| field.into_owned());
    assert_eq!(field(json!({"colour": 1})).as_deref(), Some("colour"));
    assert_eq!(field(json!({"name": null})).as_deref(), Some("name"));
    assert_eq!(field(json!({"schedule": {"from": "25:00"}})).as_deref(), Some("schedule.from"));
    // Which of two is meant, nobody knows.
    assert_eq!(field(json!({"port": "80", "ports": ["443"]})).as_deref(), Some("ports"));
    assert_eq!(field(json!({"source": "10.0.0.1", "sources": null})).as_deref(), Some("sources"));
    // What Netkeep sets, nobody writes.
    for kept in ["id", "revision", "number", "order", "created_at"] {
        assert_eq!(field(json!({kept: 1})).as_deref(), Some(kept));
    }
    check([full, patch(id, json!({}))], Ok(&[]));
    check([patch(id, json!({}))], Err(not_found(id)));
}

#[test]
fn an_update_says_what_changed() {
    let (_, events) =
        run(&[create_rule("a"), patch(at::<RuleId>(1), json!({"name": "b", "log": true, "enabled": true}))]);
    let events = events.expect("accepted");
    let [Event::Updated { resource, changed }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((changed.as_slice(), resource.revision()), (["name".to_owned(), "log".to_owned()].as_slice(), 8));
}

#[test]
fn a_replacement_is_of_the_same_kind() {
    let other = Command::Replace(at::<RuleId>(1).into(), new(Kind::Zone, json!({"name": "LAB"})));
    check([create_rule("a"), other], Err(not_found(at::<RuleId>(1))));
    let (org, _) =
        run(&[create(Kind::Rule, with(rule("a"), json!({"log": true}))), replace(at::<RuleId>(1), rule("a"))]);
    assert_eq!(org.rules.get(&at(1)).map(|rule| rule.log), Some(false));
}

fn batch(commands: &[Command]) -> Command {
    Command::Batch(commands.to_vec())
}

/// The id of what the `index`th command of a batch creates, which is the `n`th command after the founding.
fn in_batch<I: From<Ulid>>(n: u16, index: u32) -> I {
    Ulid::from(u128::from(ctx(n + 1).ulid) + u128::from(index) * 256).into()
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let lab = create(Kind::Zone, json!({"name": "LAB"}));
    let to_lab = create(Kind::Rule, with(rule("a"), json!({"zone_to": "LAB"})));
    let (org, events) = run(&[batch(&[lab.clone(), to_lab.clone(), create_rule("b")])]);
    assert_eq!(names(events), Ok(["zone.created", "rule.created", "rule.created"].map(str::to_owned).to_vec()));
    assert_eq!(org.rules.keys().copied().collect::<Vec<_>>(), [in_batch::<RuleId>(1, 1), in_batch(1, 2)]);
    let numbers: Vec<_> = org.rules.values().map(|rule| (rule.number, rule.order, rule.revision)).collect();
    assert_eq!(numbers, [(1, 1, 8), (2, 2, 9)]);
    // Each on what those before it left, and none without the others.
    let unknown = Refusal::ZoneUnknown { field: "zone_to", zone: "LAB".to_owned() };
    let at_0 = Refusal::InBatch { index: 0, refusal: Box::new(unknown) };
    assert_eq!(at_0.field().as_deref(), Some("commands[0].zone_to"));
    check([batch(&[to_lab.clone(), lab.clone()])], Err(at_0));
    let (org, events) = run(&[batch(&[lab.clone(), lab])]);
    let name = "LAB".to_owned();
    let refusal = Box::new(Refusal::NameTaken { kind: Kind::Zone, name });
    assert_eq!(events, Err(Refusal::InBatch { index: 1, refusal }));
    assert_eq!((org.revision, org.zones.len()), (6, 5));
    check([batch(&[])], Ok(&[]));
}

#[test]
fn a_batch_holds_commands_over_resources() {
    let refusal = || Box::new(Refusal::Fixed("a batch holds commands over resources"));
    let at_0 = || Err(Refusal::InBatch { index: 0, refusal: refusal() });
    check([batch(&[batch(&[create_rule("a")])])], at_0());
    check([batch(&[found()])], at_0());
    check([batch(&[Command::At(1, Box::new(batch(&[create_rule("a")])))])], at_0());
    let twice = Command::At(1, Box::new(Command::At(1, Box::new(create_rule("a")))));
    check([batch(&[twice])], at_0());
}

#[test]
fn the_events_of_a_batch_know_their_command() {
    let (org, _) = run(&[create_rule("a")]);
    let commands = [patch(at::<RuleId>(1), json!({})), create_rule("b"), delete(at::<RuleId>(1))];
    let events = decide_batch(&org, &commands, &ctx(9)).expect("accepted");
    let places: Vec<_> = events.iter().map(|(index, event)| (*index, event.name())).collect();
    assert_eq!(places, [(Some(1), "rule.created".to_owned()), (Some(2), "rule.deleted".to_owned())]);
}

#[test]
fn a_command_may_ask_for_a_revision() {
    let id: RuleId = at(1);
    let at_revision = |revision, command| Command::At(revision, Box::new(command));
    check([create_rule("a"), at_revision(7, delete(id))], Ok(&["rule.deleted"]));
    let (org, refused) = run(&[create_rule("a"), at_revision(6, delete(id))]);
    let refusal = refused.expect_err("refused");
    let current = json!(org.rules.get(&id));
    assert_eq!(refusal.details(), Some(json!({"expected": 6, "actual": 7, "current": current})));
    check([at_revision(7, delete(id))], Err(not_found(id)));
    // In a batch, the revision is the one that the commands before it left.
    let two = [at_revision(7, patch(id, json!({"log": true}))), at_revision(8, patch(id, json!({"log": false})))];
    check([create_rule("a"), batch(&two)], Ok(&["rule.updated", "rule.updated"]));
    let stale = [two[0].clone(), at_revision(7, delete(id))];
    let (_, refused) = run(&[create_rule("a"), batch(&stale)]);
    let refusal = refused.expect_err("refused");
    assert_eq!(
        (refusal.reason().name().as_str(), refusal.field().as_deref()),
        ("REVISION_MISMATCH", Some("commands[1].If-Match"))
    );
}

#[test]
fn an_id_of_one_kind_finds_nothing_of_another() {
    check([create_rule("a"), delete(at::<ZoneId>(1))], Err(not_found(at::<ZoneId>(1))));
    check([create_rule("a"), delete(at::<ZonePolicyId>(1))], Err(not_found(at::<ZonePolicyId>(1))));
}

#[test]
fn a_time_is_one_that_rfc_3339_can_write() {
    let rule = |at: &str| create(Kind::Rule, with(rule("a"), json!({"expires_at": at})));
    let key = |at: &str| setup_key(json!({"expires_at": at}));
    let token = |at: &str| create(Kind::ApiToken, json!({"name": "t", "expires_at": at}));
    for make in [&rule as &dyn Fn(&str) -> Command, &key, &token] {
        assert!(run(&[make("9999-12-31T23:59:59Z")]).1.is_ok());
        for far in ["9999-12-31T23:59:59-23:59", "+262142-12-31T23:59:59Z"] {
            assert_eq!(refused(&[make(far)]), ("VALUE_INVALID".to_owned(), "expires_at".to_owned()), "{far}");
        }
    }
    let list = create(Kind::AddressList, json!({"name": "l"}));
    let entries = json!([{"address": "192.0.2.1", "expires_at": "+262142-12-31T23:59:59Z"}]);
    let add = Command::ChangeEntries(at(1), read(json!({"add": entries})));
    assert_eq!(refused(&[list.clone(), add]).1, "add");
    let replace = Command::ReplaceEntries(at(1), read(entries));
    assert_eq!(refused(&[list, replace]).1, "entries");
}

#[test]
fn whatever_has_tags_has_not_too_many() {
    for (kind, json) in [
        (Kind::Group, json!({"name": "a"})),
        (Kind::Address, json!({"name": "a", "entries": ["192.0.2.1"]})),
        (Kind::Service, json!({"name": "a", "entries": ["icmp"]})),
        (Kind::AddressList, json!({"name": "a"})),
        (Kind::Firewall, json!({"name": "a"})),
        (Kind::Rule, rule("a")),
        (Kind::ConfigTemplate, json!({"name": "a", "config": {}})),
        (Kind::Route, json!({"name": "a", "network": "10.9.0.0/16", "gateway": "10.0.0.1"})),
        (Kind::NatRule, json!({"name": "a", "type": "masquerade", "zone": "WAN"})),
        (Kind::DnsList, json!({"name": "a", "action": "block", "domains": []})),
        (Kind::DnsRecord, json!({"name": "nas.example.com", "type": "A", "content": "192.0.2.1"})),
        (Kind::NameserverGroup, json!({"name": "a", "nameservers": [{"ip": "9.9.9.9"}], "primary": true})),
    ] {
        let tags = |count: usize| json!({"tags": (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>()});
        let tagged = |count| create(kind, with(json.clone(), tags(count)));
        assert_eq!(refused(&[tagged(51)]).1, "tags", "{kind}");
        let fits = run(&[tagged(50)]).1;
        assert!(fits.is_ok() || fits.is_err_and(|refusal| refusal.field().as_deref() != Some("tags")), "{kind}");
    }
}
