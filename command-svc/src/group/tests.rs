//! Groups: what shares a commit, what is remembered, and what is left for the next one.

use chrono::TimeZone;
use schemas::access::Role;
use schemas::command::Command;
use schemas::config_template::ApplyTemplate;
use schemas::id::OperationId;
use schemas::kind::Kind;
use schemas::reason::Reason;
use schemas::resource::{AnyNew, ResourceId};
use schemas::text::Name;
use schemas::zone::NewZone;
use tokio::sync::oneshot;

use super::*;
use crate::answer::Outcome;
use crate::decide::tests::Json;
use crate::submission::{Options, Origin};

pub(super) fn submission(command: Command, options: Options) -> Submission {
    let origin = Origin::of("usr", "tok", Role::Owner, OperationId::new(Ulid::nil()));
    Submission { command, origin, options, reply: oneshot::channel().0 }
}

fn zone(name: &str, key: Option<&str>, hash: &str) -> Submission {
    let new: NewZone = serde_json::from_value(json!({"name": name})).expect("a zone");
    let command_hash = key.map(|_| hash.to_owned());
    let command_id = key.unwrap_or("cmd_1").to_owned();
    submission(Command::Create(new.into()), Options { command_id, command_hash, ..Options::default() })
}

pub(super) fn ids() -> impl FnMut() -> Ulid {
    ids_from(0)
}

/// Ids that no earlier group gave.
pub(super) fn ids_from(number: u32) -> impl FnMut() -> Ulid {
    let mut next = u128::from(number) << 80;
    move || {
        next += 1 << 40;
        Ulid::from(next)
    }
}

pub(super) fn secrets() -> Secrets {
    Secrets::new([7; 32])
}

pub(super) fn at(second: u32) -> DateTime<Utc> {
    Utc.timestamp_opt(i64::from(second), 0).single().expect("a time")
}

pub(super) fn founded() -> (OrgId, Org) {
    let org: OrgId = "acme".parse().expect("an org");
    let found = submission(Command::CreateOrg { name: Name::new("a").expect("a name") }, Options::default());
    let decided = decide_group(&org, &Org::default(), &[found], at(1), &secrets(), ids()).expect("decided");
    (org, decided.after)
}

#[test]
fn a_log_is_read_without_the_answers_that_are_too_old() {
    let id: OrgId = "acme".parse().expect("an org");
    let found = submission(Command::CreateOrg { name: Name::new("a").expect("a name") }, Options::default());
    let group = [found, zone("B", Some("key"), "hash")];
    let decided = decide_group(&id, &Org::default(), &group, at(1), &secrets(), ids()).expect("decided");
    let (_, message) = decided.commit.expect("something to append");
    for (age, is_remembered) in [(0, true), (86_400, true), (86_401, false)] {
        let mut org = Org::read_at(at(1 + age));
        org.follow(7, &message).expect("a true chain");
        assert_eq!(org.remembered("usr", "key").is_some(), is_remembered, "{age}");
        assert_eq!(org.state.zones.len(), decided.after.state.zones.len());
        let again = decide_group(&id, &org, &[zone("B", Some("key"), "hash")], at(1 + age), &secrets(), ids_from(9));
        let again = again.expect("decided").results.remove(0);
        let expected = if is_remembered { Ok(()) } else { Err(Reason::NameTaken) };
        assert_eq!(again.map(|_| ()).map_err(|failure| failure.reason()), expected, "{age}");
    }
}

#[test]
fn what_is_appended_reads_back_as_the_state_that_was_decided() {
    let (id, org) = founded();
    let group = [zone("A", None, ""), zone("A", None, ""), zone("B", Some("key"), "hash")];
    let decided = decide_group(&id, &org, &group, at(2), &secrets(), ids()).expect("decided");
    let kinds: Vec<_> =
        decided.results.iter().map(|result| result.as_ref().map(|_| ()).map_err(Failure::reason)).collect();
    assert_eq!(kinds, [Ok(()), Err(Reason::NameTaken), Ok(())]);
    let (_, message) = decided.commit.expect("something to append");
    let mut followed = org;
    followed.follow(7, &message).expect("a true chain");
    assert_eq!(format!("{:?}", followed.state), format!("{:?}", decided.after.state));
    assert_eq!(followed.chain, decided.after.chain);
    assert_eq!(followed.remembered("usr", "key").map(|it| it.answer.position), Some(7));
}

#[test]
fn one_key_is_one_event_for_a_day() {
    let (id, org) = founded();
    let group = [zone("A", Some("key"), "hash"), zone("A", Some("key"), "hash"), zone("B", Some("key"), "other")];
    let decided = decide_group(&id, &org, &group, at(2), &secrets(), ids()).expect("decided");
    assert_eq!(decided.events.len(), 1);
    let [Ok(Accepted::Done(first)), Ok(Accepted::Done(again)), Err(other)] = &decided.results[..] else {
        panic!("{:?}", decided.results)
    };
    assert_eq!((first.id.clone(), true), (again.id.clone(), again.replayed));
    assert_eq!(other.reason(), Reason::CommandReused);
    let later = [zone("A", Some("key"), "hash")];
    let decided = decide_group(&id, &decided.after, &later, at(2 + 86_401), &secrets(), ids_from(1)).expect("decided");
    assert!(decided.results[0].is_err(), "after a day the key is forgotten, and the name is taken");
}

#[test]
fn of_two_writers_with_one_revision_one_wins() {
    let (id, org) = founded();
    let zone = org.state.zones.values().next().expect("a zone").clone();
    let patch = |text: &str| {
        let patch = serde_json::from_value(json!({"description": text})).expect("a patch");
        let options = Options { if_match: Some(zone.revision), ..Options::default() };
        submission(Command::Patch(zone.id.into(), patch), options)
    };
    let decided = decide_group(&id, &org, &[patch("a"), patch("b")], at(2), &secrets(), ids()).expect("decided");
    assert!(decided.results[0].is_ok());
    assert_eq!(decided.results[1].as_ref().map(|_| ()).map_err(Failure::reason), Err(Reason::RevisionMismatch));
}

#[test]
fn a_dry_run_changes_nothing() {
    let (id, org) = founded();
    let mut trial = zone("A", None, "");
    trial.options.dry_run = true;
    let decided = decide_group(&id, &org, &[trial], at(2), &secrets(), ids()).expect("decided");
    assert!(matches!(&decided.results[0], Ok(Accepted::Would { events, .. }) if events == &["zone.created"]));
    assert!(decided.commit.is_none());
    assert_eq!(decided.after.state.zones.len(), org.state.zones.len());
}

#[test]
fn a_key_that_was_free_again_is_remembered_across_a_reload() {
    let (id, mut org) = founded();
    let mut log = Vec::new();
    // The same key on two days, more than a day apart, for two zones; then both commits are read again.
    for (name, second) in [("A", 2), ("B", 90_000)] {
        let decided =
            decide_group(&id, &org, &[zone(name, Some("key"), name)], at(second), &secrets(), ids()).expect("decided");
        assert!(decided.results[0].is_ok(), "{name}");
        log.push(decided.commit.expect("a commit").1);
        org = decided.after;
        org.appended(10 + log.len() as u64);
    }
    let mut reloaded = founded().1;
    for (position, message) in (11..).zip(&log) {
        reloaded.follow(position, message).expect("a true chain");
    }
    let kept = reloaded.remembered("usr", "key").expect("the second day's");
    assert_eq!((kept.command_hash.as_str(), kept.answer.position), ("B", 12));
}

#[test]
fn a_commit_is_bounded_and_the_rest_waits_for_the_next() {
    let (id, org) = founded();
    let metadata: String = "m".repeat(4_000);
    let zones = (0..1_000).map(|n| {
        let json = json!({"name": format!("Z{n}"), "metadata": {"k": metadata}});
        let new: NewZone = serde_json::from_value(json).expect("a zone");
        submission(Command::Create(new.into()), Options::default())
    });
    let group: Vec<Submission> = zones.collect();
    let decided = decide_group(&id, &org, &group, at(2), &secrets(), ids()).expect("decided");
    let message = decided.commit.expect("a commit").1;
    assert!(decided.results.len() < group.len() && message.len() < COMMIT_BYTES_MAX + 8_192, "{}", message.len());
}

fn batch(key: &str, commands: Vec<Command>) -> Submission {
    let options = Options { command_id: key.to_owned(), command_hash: Some("hash".to_owned()), ..Options::default() };
    submission(Command::Batch(commands), options)
}

fn create(kind: Kind, json: Value) -> Command {
    Command::Create(AnyNew::parse(kind, Json(json)).expect("reads"))
}

fn done(decided: &Decided, index: usize) -> Answer {
    match &decided.results[index] {
        Ok(Accepted::Done(answer)) => answer.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_tells_what_became_of_each_and_tells_it_again() {
    let (id, org) = founded();
    let zone = org.state.zones.values().next().expect("a zone").clone();
    let commands = vec![
        create(Kind::Zone, json!({"name": "LAB"})),
        Command::Patch(zone.id.into(), serde_json::Map::new()),
        create(Kind::Group, json!({"name": "g"})),
    ];
    let first = decide_group(&id, &org, &[batch("key", commands.clone())], at(2), &secrets(), ids()).expect("decided");
    let answer = done(&first, 0);
    let results = answer.body["results"].as_array().expect("results");
    let told: Vec<_> = results.iter().map(|it| (it["index"].as_u64(), it["status"].as_u64())).collect();
    assert_eq!(told, [(Some(0), Some(201)), (Some(2), Some(201))], "the one that changed nothing is left out");
    assert_eq!((answer.outcome, answer.id.as_str(), answer.revision), (Outcome::Updated, "", 8));

    let again =
        decide_group(&id, &first.after, &[batch("key", commands.clone())], at(3), &secrets(), ids()).expect("decided");
    assert_eq!(done(&again, 0), Answer { replayed: true, ..answer.clone() });
    let mut read = org;
    read.follow(9, &first.commit.expect("a commit").1).expect("a true chain");
    let after_reading = decide_group(&id, &read, &[batch("key", commands)], at(3), &secrets(), ids()).expect("decided");
    assert_eq!(done(&after_reading, 0), Answer { replayed: true, position: 9, ..answer });
}

#[test]
fn the_answer_to_a_deletion_is_that_it_is_gone_whatever_went_with_it() {
    let (id, org) = founded();
    let user = create(Kind::User, json!({"role": "viewer", "kind": "service"}));
    let made =
        decide_group(&id, &org, &[submission(user, Options::default())], at(2), &secrets(), ids()).expect("decided");
    let user: ResourceId = done(&made, 0).id.parse().expect("an id");
    let token = create(Kind::ApiToken, json!({"name": "t", "user_id": user, "scopes": [{"verbs": ["read"]}]}));
    let mut of_somebody = submission(token, Options::default());
    of_somebody.origin.user_id = Some(schemas::id::UserId::new(Ulid::nil()));
    let with_token = decide_group(&id, &made.after, &[of_somebody], at(3), &secrets(), ids_from(1)).expect("decided");
    assert_eq!(done(&with_token, 0).outcome, Outcome::Created);
    let gone = |command| {
        let group = [submission(command, Options::default())];
        decide_group(&id, &with_token.after, &group, at(4), &secrets(), ids()).expect("decided")
    };
    let alone = gone(Command::Delete(user));
    assert_eq!(alone.events.len(), 2);
    let answer = done(&alone, 0);
    assert_eq!((answer.outcome, answer.id, answer.body), (Outcome::Deleted, user.to_string(), Value::Null));
    let batched = done(&gone(Command::Batch(vec![Command::Delete(user)])), 0);
    let result = &batched.body["results"][0];
    assert_eq!((&result["status"], &result["id"]), (&json!(204), &json!(user)));
    assert_eq!(batched.body["results"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_batch_that_is_too_large_leaves_nothing_behind() {
    let (id, org) = founded();
    let metadata: String = "m".repeat(4_000);
    let zones = (0..600).map(|n| create(Kind::Zone, json!({"name": format!("Z{n}"), "metadata": {"k": metadata}})));
    let group = [batch("key", zones.collect()), zone("A", None, "")];
    let decided = decide_group(&id, &org, &group, at(2), &secrets(), ids()).expect("decided");
    assert_eq!(decided.results[0].as_ref().map(|_| ()).map_err(Failure::reason), Err(Reason::BatchTooLarge));
    assert_eq!(done(&decided, 1).revision, 7, "what came after it is decided on what was there before");
    assert!(decided.after.remembered("usr", "key").is_none());
}

#[test]
fn a_plan_is_an_answer_without_an_event() {
    let (id, org) = founded();
    let template = create(Kind::ConfigTemplate, json!({"name": "t", "config": {"mode": "shadow"}}));
    let made = decide_group(&id, &org, &[submission(template, Options::default())], at(2), &secrets(), ids())
        .expect("decided");
    let device = "dev_01jcz3k9mv5x8q2w4e6r7t9y0a";
    let apply: ApplyTemplate = serde_json::from_value(json!({"device_ids": [device]})).expect("reads");
    let template = done(&made, 0).id.parse().expect("an id");
    let options = Options { if_match: Some(7), ..Options::default() };
    let plan = |options| submission(Command::PlanTemplate(template, apply.clone()), options);
    let decided = decide_group(&id, &made.after, &[plan(options)], at(3), &secrets(), ids()).expect("decided");
    let planned = json!({"devices": [{"device_id": device, "revision": 0, "patch": {}}]});
    assert_eq!(done(&decided, 0).body, planned);
    assert!(decided.commit.is_none());
    let stale = Options { if_match: Some(6), ..Options::default() };
    let refused = decide_group(&id, &made.after, &[plan(stale)], at(3), &secrets(), ids()).expect("decided");
    assert_eq!(refused.results[0].as_ref().map(|_| ()).map_err(Failure::reason), Err(Reason::RevisionMismatch));
}

#[test]
fn whatever_is_accepted_is_read_back() {
    let (id, org) = founded();
    let mut deep = json!("${device_name}");
    for _ in 0..123 {
        deep = json!({"a": deep});
    }
    let commands = [
        create(Kind::ConfigTemplate, json!({"name": "deep", "config": {"metadata": deep}})),
        create(Kind::SetupKey, json!({"name": "far", "expires_at": "9999-12-31T23:59:59Z"})),
    ];
    for command in commands {
        let group = [submission(command, Options::default())];
        let decided = decide_group(&id, &org, &group, at(2), &secrets(), ids()).expect("decided");
        let Some((_, message)) = decided.commit else { panic!("{:?}", decided.results) };
        let mut read = org.clone();
        if let Err(broken) = read.follow(9, &message) {
            panic!("{:?} is not read back: {broken}", group[0].command);
        }
    }
}

#[test]
fn a_batch_stops_where_it_is_too_large() {
    let (id, mut org) = founded();
    let key = create(Kind::SetupKey, json!({"name": "k", "type": "reusable"}));
    let decided = decide_group(&id, &org, &[submission(key, Options::default())], at(2), &secrets(), ids_from(1));
    let decided = decided.expect("decided");
    let key = secrets().derive(crate::secrets::SecretKind::SetupKey, &id, &done(&decided, 0).id);
    let group = create(Kind::Group, json!({"name": "g"}));
    let enrolments = (0..300).map(|n| {
        let json = json!({"setup_key": key, "public_key": format!("U{n}"), "name": format!("d{n}")});
        Command::EnrolDevice(serde_json::from_value(json).expect("reads"))
    });
    org = decided.after;
    let all: Vec<_> = std::iter::once(group).chain(enrolments).map(|it| submission(it, Options::default())).collect();
    let made = decide_group(&id, &org, &all, at(3), &secrets(), ids_from(2)).expect("decided");
    let group: ResourceId = done(&made, 0).id.parse().expect("an id");
    let devices: Vec<_> = made.after.state.devices.keys().copied().collect();
    assert_eq!(devices.len(), 300);
    let patch = |ids: &[_]| {
        let patch = serde_json::from_value(json!({"device_ids": ids})).expect("a patch");
        Command::Patch(group, patch)
    };
    // In and out: each command is 300 events.
    let commands: Vec<_> = (0..200).map(|n| if n % 2 == 0 { patch(&devices) } else { patch(&[]) }).collect();
    let decided = decide_batch(&made.after.state, &commands, &crate::decide::tests::ctx(4));
    let Err(Refusal::BatchTooLarge { bytes, .. }) = decided else { panic!("{:?}", decided.map(|all| all.len())) };
    assert!(bytes < 2 * COMMIT_BYTES_MAX, "{bytes} bytes were made");
}
