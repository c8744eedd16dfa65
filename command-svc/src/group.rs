//! A group: the commands that share one commit, decided one after the other on a copy of their org. Pure.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemas::commit::Commit;
use schemas::event::{Event, Meta, Recorded, SpecVersion};
use schemas::id::{CommitId, EventId, OrgId, Ulid};
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::decide::{Context, decide, target};
use crate::org::Org;
use crate::refusal::Refusal;
use crate::secrets::Secrets;
use crate::submission::{Accepted, Failure, Submission};

/// A group that was decided and awaits its append.
pub struct Decided {
    /// One for each submission that found room in the commit, in order; at least one.
    pub results: Vec<Result<Accepted, Failure>>,
    /// The message to append, if any command was accepted.
    pub commit: Option<(CommitId, Bytes)>,
    /// The org as it is once the commit is appended.
    pub after: Org,
    /// The events of the commit.
    pub events: Vec<Recorded>,
}

/// Commits stay well below the largest message that the bus takes.
pub const COMMIT_BYTES_MAX: usize = 2 << 20;

/// Decides a group at a time. `ulids` gives random ids.
pub fn decide_group(
    id: &OrgId,
    org: &Org,
    group: &[Submission],
    now: DateTime<Utc>,
    secrets: &Secrets,
    mut ulids: impl FnMut() -> Ulid,
) -> Result<Decided, Failure> {
    let mut after = org.clone();
    after.forget(now);
    let mut draft = Draft { events: Vec::new(), stored: Vec::new(), bytes: 0 };
    let mut results = Vec::with_capacity(group.len());
    for submission in group {
        if draft.bytes >= COMMIT_BYTES_MAX {
            break;
        }
        let ctx = Context {
            org: id.clone(),
            now,
            ulid: ulids(),
            role: submission.origin.role,
            user_id: submission.origin.user_id,
            credential: submission.origin.credential.clone(),
            secrets: secrets.clone(),
        };
        results.push(decide_one(&mut after, submission, &ctx, &mut draft, &mut ulids).map_err(Failure::Refused));
    }
    let commit = draft.finish(id, CommitId::new(ulids()))?;
    Ok(Decided { results, commit, after, events: draft.events })
}

struct Draft {
    events: Vec<Recorded>,
    stored: Vec<Box<RawValue>>,
    bytes: usize,
}

fn decide_one(
    org: &mut Org,
    submission: &Submission,
    ctx: &Context,
    draft: &mut Draft,
    ulids: &mut impl FnMut() -> Ulid,
) -> Result<Accepted, Refusal> {
    let (command, options) = (&submission.command, &submission.options);
    if let Some(hash) = &options.command_hash
        && let Some(known) = org.remembered(&submission.origin.actor, &options.command_id)
    {
        if known.command_hash != *hash {
            return Err(Refusal::CommandReused);
        }
        return Ok(Accepted::Done(Answer { replayed: true, ..known.answer.clone() }));
    }
    let before = target(&org.state, command);
    // Decided before the revision is compared: who may not see the resource learns nothing of it.
    let events = decide(&org.state, command, ctx)?;
    if let (Some(expected), Some((actual, current))) = (options.if_match, &before)
        && expected != *actual
    {
        let current = Box::new(current.clone());
        return Err(Refusal::RevisionMismatch { kind: command.kind(), expected, actual: *actual, current });
    }
    let (revision, before) = before.unwrap_or_default();
    // What others of the group changed is seen from their commit on.
    let position = if draft.events.is_empty() { org.position } else { 0 };
    let unchanged = || Answer { position, ..Answer::unchanged(revision, before.clone()) };
    if options.dry_run {
        let first = events.first().map(|first| record(org, submission, ctx, first.clone(), ulids()));
        let answer = first.map_or_else(unchanged, |first| Answer { position, ..Answer::to(&first) });
        let events = events.iter().map(Event::name).collect();
        return Ok(Accepted::Would { answer, events, before });
    }
    if events.is_empty() {
        return Ok(Accepted::Done(unchanged()));
    }
    let mut answer = None;
    for event in events {
        let recorded = record(org, submission, ctx, event, ulids());
        if let Some(stored) = raw(&recorded) {
            org.apply_stored(&recorded, stored.get());
            answer.get_or_insert_with(|| Answer::to(&recorded));
            draft.bytes += stored.get().len();
            draft.events.push(recorded);
            draft.stored.push(stored);
        }
    }
    Ok(Accepted::Done(answer.unwrap_or_else(unchanged)))
}

/// Gives an event its place in the org's log.
fn record(org: &Org, submission: &Submission, ctx: &Context, event: Event, id: Ulid) -> Recorded {
    let (origin, options) = (&submission.origin, &submission.options);
    let meta = Meta {
        specversion: SpecVersion::V1,
        id: EventId::new(id),
        source: format!("/orgs/{}", ctx.org),
        subject: event.subject(&ctx.org),
        time: ctx.now,
        org: ctx.org.clone(),
        revision: org.chain.revision + 1,
        actor: origin.actor.clone(),
        credential: origin.credential.clone(),
        sourceip: origin.source_ip.map(|ip| ip.to_string()),
        commandid: options.command_id.clone(),
        commandhash: options.command_hash.clone(),
        correlationid: origin.operation.to_string(),
        prevhash: org.chain.hash.clone(),
        traceparent: origin.traceparent.clone(),
    };
    Recorded { meta, event }
}

/// The stored form of an event. Resources are plain data: writing them does not fail.
fn raw(recorded: &Recorded) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(recorded).ok()
}

impl Draft {
    fn finish(&mut self, org: &OrgId, id: CommitId) -> Result<Option<(CommitId, Bytes)>, Failure> {
        if self.stored.is_empty() {
            return Ok(None);
        }
        let commit = Commit { org: org.clone(), id, events: std::mem::take(&mut self.stored) };
        let message = serde_json::to_vec(&commit).map_err(|error| Failure::LogDamaged(error.to_string()))?;
        Ok(Some((id, message.into())))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use schemas::access::Role;
    use schemas::command::Command;
    use schemas::id::OperationId;
    use schemas::reason::Reason;
    use schemas::text::Name;
    use tokio::sync::oneshot;

    use super::*;
    use crate::submission::{Options, Origin};

    fn submission(command: Command, options: Options) -> Submission {
        let origin = Origin {
            actor: "usr".to_owned(),
            credential: "tok".to_owned(),
            source_ip: None,
            role: Role::Owner,
            user_id: None,
            operation: OperationId::new(Ulid::nil()),
            traceparent: None,
        };
        Submission { command, origin, options, reply: oneshot::channel().0 }
    }

    fn zone(name: &str, key: Option<&str>, hash: &str) -> Submission {
        let new = serde_json::from_value(serde_json::json!({"name": name})).expect("a zone");
        let command_hash = key.map(|_| hash.to_owned());
        let command_id = key.unwrap_or("cmd_1").to_owned();
        submission(Command::CreateZone(new), Options { command_id, command_hash, ..Options::default() })
    }

    fn ids() -> impl FnMut() -> Ulid {
        let mut n = 0u128;
        move || {
            n += 1 << 40;
            Ulid::from(n)
        }
    }

    fn secrets() -> Secrets {
        Secrets::new([7; 32])
    }

    fn at(second: u32) -> DateTime<Utc> {
        Utc.timestamp_opt(i64::from(second), 0).single().expect("a time")
    }

    fn founded() -> (OrgId, Org) {
        let org: OrgId = "acme".parse().expect("an org");
        let found = submission(Command::CreateOrg { name: Name::new("a").expect("a name") }, Options::default());
        let decided = decide_group(&org, &Org::default(), &[found], at(1), &secrets(), ids()).expect("decided");
        (org, decided.after)
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
        let decided = decide_group(&id, &decided.after, &later, at(2 + 86_401), &secrets(), ids()).expect("decided");
        assert!(decided.results[0].is_err(), "after a day the key is forgotten, and the name is taken");
    }

    #[test]
    fn of_two_writers_with_one_revision_one_wins() {
        let (id, org) = founded();
        let zone = org.state.zones.values().next().expect("a zone").clone();
        let patch = |text: &str| {
            let patch = serde_json::from_value(serde_json::json!({"description": text})).expect("a patch");
            let options = Options { if_match: Some(zone.revision), ..Options::default() };
            submission(Command::UpdateZone(zone.id, patch), options)
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
            let decided = decide_group(&id, &org, &[zone(name, Some("key"), name)], at(second), &secrets(), ids())
                .expect("decided");
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
            let json = serde_json::json!({"name": format!("Z{n}"), "metadata": {"k": metadata}});
            submission(Command::CreateZone(serde_json::from_value(json).expect("a zone")), Options::default())
        });
        let group: Vec<Submission> = zones.collect();
        let decided = decide_group(&id, &org, &group, at(2), &secrets(), ids()).expect("decided");
        let message = decided.commit.expect("a commit").1;
        assert!(decided.results.len() < group.len() && message.len() < COMMIT_BYTES_MAX + 8_192, "{}", message.len());
    }
}
