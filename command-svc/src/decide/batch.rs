//! Batches: several commands that are accepted together, each on what the ones before it left.

use schemas::command::Command;
use schemas::event::Event;
use schemas::id::Ulid;
use schemas::state::OrgState;

use super::Context;
use crate::group::COMMIT_BYTES_MAX;
use crate::refusal::Refusal;

/// Ids that one command of a batch may use up.
const IDS_EACH: u128 = 256;

/// Decides each command on what those before it left; its events come with its place.
pub fn decide_batch(org: &OrgState, commands: &[Command], ctx: &Context) -> Result<Vec<(Option<u32>, Event)>, Refusal> {
    let mut state = org.clone();
    let (mut events, mut bytes) = (Vec::with_capacity(commands.len()), 0);
    for (index, command) in (0u32..).zip(commands) {
        let in_batch = |refusal| Refusal::InBatch { index, refusal: Box::new(refusal) };
        check_single(command).map_err(in_batch)?;
        let offset = u128::from(index).wrapping_mul(IDS_EACH);
        let ctx = Context { ulid: Ulid::from(u128::from(ctx.ulid).wrapping_add(offset)), ..ctx.clone() };
        for event in super::decide(&state, command, &ctx).map_err(in_batch)? {
            state.apply_event(&event, state.revision + 1, ctx.now);
            bytes += event_bytes(&event);
            events.push((Some(index), event));
        }
        // One small command may change a thousand large devices: what no commit takes is not made at all.
        if bytes > COMMIT_BYTES_MAX {
            return Err(Refusal::BatchTooLarge { bytes, max: COMMIT_BYTES_MAX });
        }
    }
    Ok(events)
}

/// What an event takes in a commit at least.
fn event_bytes(event: &Event) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Resources are plain data: writing them does not fail.
    serde_json::to_writer(&mut count, event).map_or(0, |()| count.0)
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
