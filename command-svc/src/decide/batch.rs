//! Batches: several commands that are accepted together, each on what the ones before it left.

use schemas::command::Command;
use schemas::event::Event;
use schemas::id::Ulid;
use schemas::state::OrgState;

use super::Context;
use crate::refusal::Refusal;

/// Ids that one command of a batch may use up.
const IDS_EACH: u128 = 256;

/// Decides each command on what those before it left; its events come with its place.
pub fn decide_batch(org: &OrgState, commands: &[Command], ctx: &Context) -> Result<Vec<(Option<u32>, Event)>, Refusal> {
    let mut state = org.clone();
    let mut events = Vec::with_capacity(commands.len());
    for (index, command) in (0u32..).zip(commands) {
        let in_batch = |refusal| Refusal::InBatch { index, refusal: Box::new(refusal) };
        check_single(command).map_err(in_batch)?;
        let offset = u128::from(index).wrapping_mul(IDS_EACH);
        let ctx = Context { ulid: Ulid::from(u128::from(ctx.ulid).wrapping_add(offset)), ..ctx.clone() };
        for event in super::decide(&state, command, &ctx).map_err(in_batch)? {
            state.apply_event(&event, state.revision + 1, ctx.now);
            events.push((Some(index), event));
        }
    }
    Ok(events)
}

/// Decides a command over a resource that must be at this revision. Decided before the revision is compared: who may not
/// see the resource learns nothing of it.
pub(super) fn decide_at(
    org: &OrgState,
    expected: u64,
    command: &Command,
    ctx: &Context,
) -> Result<Vec<Event>, Refusal> {
    check_single(command)?;
    let events = super::decide(org, command, ctx)?;
    match super::target(org, command, ctx) {
        Some((actual, current)) if actual != expected => {
            Err(Refusal::RevisionMismatch { kind: command.kind(), expected, actual, current: Box::new(current) })
        }
        Some(_) | None => Ok(events),
    }
}

/// Refuses what is no command over the resources of an org.
fn check_single(command: &Command) -> Result<(), Refusal> {
    let inner = if let Command::At(_, inner) = command { inner } else { command };
    let is_twice = matches!((command, inner), (Command::At(..), Command::At(..)));
    let single = !is_twice && !matches!(inner, Command::Batch(_) | Command::CreateOrg { .. });
    if single { Ok(()) } else { Err(Refusal::Fixed("a batch holds commands over resources")) }
}
