//! A group: the commands that share one commit, decided one after the other on a copy of their org. Pure.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemas::command::Command;
use schemas::commit::Commit;
use schemas::event::{Event, Meta, Recorded, SpecVersion};
use schemas::id::{CommitId, EventId, OrgId, Ulid};
use schemas::state::OrgState;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::decide::{Context, decide, decide_batch, target};
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
/// One event may be larger, if it comes alone: a new order of 100,000 rules is one. The bus takes 8 MiB.
pub const EVENT_BYTES_MAX: usize = 7 << 20;

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
            source_ip: submission.origin.source_ip,
            device_groups: submission.origin.device_groups.clone(),
            scopes: submission.origin.scopes.clone(),
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
    let before = target(&org.state, command, ctx);
    // Decided before the revision is compared: who may not see the resource learns nothing of it.
    let events = indexed(&org.state, command, ctx)?;
    if let (Some(expected), Some((actual, current))) = (options.if_match, &before)
        && expected != *actual
    {
        let current = Box::new(current.clone());
        return Err(Refusal::RevisionMismatch { kind: command.kind(), expected, actual: *actual, current });
    }
    let (revision, before) = before.unwrap_or_default();
    // What others of the group changed is seen from their commit on.
    let position = if draft.events.is_empty() { org.position } else { 0 };
    let unchanged = || Answer { position, ..nothing_new(command, revision, before.clone()) };
    if events.is_empty() && !options.dry_run {
        return Ok(Accepted::Done(unchanged()));
    }
    // Taken back if it was only a trial, or too much for one commit.
    let as_it_was = (options.dry_run || events.len() > 1).then(|| org.clone());
    let bytes_max = if events.len() > 1 { COMMIT_BYTES_MAX } else { EVENT_BYTES_MAX };
    let (mut recorded, mut stored, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut answer: Option<Answer> = None;
    for (index, event) in events {
        let event = record(org, submission, ctx, event, index, ulids());
        let Some(raw) = raw(&event) else { continue };
        bytes += raw.get().len();
        if bytes > bytes_max {
            *org = as_it_was.unwrap_or_else(|| org.clone());
            return Err(Refusal::BatchTooLarge { bytes, max: bytes_max });
        }
        org.apply_stored(&event, raw.get());
        match &mut answer {
            Some(answer) => answer.and(&event),
            None => answer = Some(Answer::to(&event)),
        }
        recorded.push(event);
        stored.push(raw);
    }
    let answer = answer.unwrap_or_else(unchanged);
    if options.dry_run {
        *org = as_it_was.unwrap_or_default();
        let events = recorded.iter().map(|recorded| recorded.event.name()).collect();
        return Ok(Accepted::Would { answer: Answer { position, ..answer }, events, before });
    }
    draft.bytes += bytes;
    draft.events.extend(recorded);
    draft.stored.extend(stored);
    Ok(Accepted::Done(answer))
}

/// Decides a command; the events of a batch come with the place of their command in it.
fn indexed(org: &OrgState, command: &Command, ctx: &Context) -> Result<Vec<(Option<u32>, Event)>, Refusal> {
    if let Command::Batch(commands) = command {
        return decide_batch(org, commands, ctx);
    }
    Ok(decide(org, command, ctx)?.into_iter().map(|event| (None, event)).collect())
}

/// The answer to a command that changed nothing.
fn nothing_new(command: &Command, revision: u64, before: Value) -> Answer {
    let body = match command {
        Command::OrderRules(_) => json!({"moved": []}),
        Command::ChangeEntries(..) | Command::ReplaceEntries(..) => json!({"removed": 0, "added": 0}),
        Command::At(_, command) => return nothing_new(command, revision, before),
        Command::Batch(_) => json!({"results": []}),
        Command::CreateOrg { .. }
        | Command::UpdateOrg(_)
        | Command::Create(_)
        | Command::Replace(..)
        | Command::Patch(..)
        | Command::Delete(_)
        | Command::PlanTemplate(..)
        | Command::SignIn(_)
        | Command::EnrolDevice(_)
        | Command::ReportConfig(..) => before,
    };
    Answer::unchanged(revision, body)
}

/// Gives an event its place in the org's log.
fn record(org: &Org, submission: &Submission, ctx: &Context, event: Event, index: Option<u32>, id: Ulid) -> Recorded {
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
        commandindex: index,
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
mod tests;
#[cfg(test)]
mod laws;
