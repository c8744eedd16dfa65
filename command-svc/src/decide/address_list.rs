//! Address lists, and the entries in them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use imbl::OrdMap;
use schemas::address::Span;
use schemas::address_list::{AddressList, ENTRIES_MAX, EntriesPatch, ListEntry, Remaining};
use schemas::event::Event;
use schemas::id::AddressListId;
use schemas::state::OrgState;

use super::resource::{Decided, find};
use super::{Context, TAGS_MAX, bounded, check_time};
use crate::refusal::Refusal;

/// Entries that one command may change: its event fits in a commit.
pub(crate) const CHANGES_MAX: usize = 5_000;
/// What the entries that come may take in the event of one part of a replacement.
const PART_BYTES_MAX: usize = 1 << 20;

impl Decided for AddressList {
    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)
    }
}

/// Removes and adds entries. What is so already is not part of the event.
pub(super) fn change_entries(
    org: &OrgState,
    id: AddressListId,
    patch: &EntriesPatch,
    ctx: &Context,
) -> Result<Vec<Event>, Refusal> {
    find::<AddressList>(org, id, ctx)?;
    bounded("add", patch.add.len() + patch.remove.len(), CHANGES_MAX)?;
    let held = org.list_entries.get(&id);
    let holds = |address: &Span| held.and_then(|held| held.get(address));
    let mut added: BTreeMap<Span, ListEntry> = BTreeMap::new();
    for entry in &patch.add {
        if entry.is_expired(ctx.now) {
            return Err(Refusal::ExpiryInPast);
        }
        entry.expires_at.map_or(Ok(()), |at| check_time("add", at))?;
        added.insert(entry.address, entry.clone());
    }
    let goes = |address: &&Span| holds(address).is_some() && !added.contains_key(*address);
    let removed: BTreeSet<Span> = patch.remove.iter().filter(goes).copied().collect();
    added.retain(|address, entry| holds(address).is_none_or(|held| **held != *entry));
    let new = added.keys().filter(|address| holds(address).is_none()).count();
    bounded("entries", held.map_or(0, OrdMap::len) + new - removed.len(), ENTRIES_MAX)?;
    if removed.is_empty() && added.is_empty() {
        return Ok(Vec::new());
    }
    let (removed, added) = (removed.into_iter().collect(), added.into_values().collect());
    Ok(vec![Event::EntriesChanged { id, removed, added, remaining: Remaining::default() }])
}

/// Makes the list hold these entries, as far as one commit takes it: first what differs, then what is new and has room,
/// then what goes. What is in both is never absent. Entries may have expired: what was read can be written back.
pub(super) fn replace_entries(
    org: &OrgState,
    id: AddressListId,
    wanted: &[ListEntry],
    ctx: &Context,
) -> Result<Vec<Event>, Refusal> {
    find::<AddressList>(org, id, ctx)?;
    let wanted = sorted(wanted);
    bounded("entries", wanted.len(), ENTRIES_MAX)?;
    wanted.iter().filter_map(|entry| entry.expires_at).try_for_each(|at| check_time("entries", at))?;
    let none = OrdMap::new();
    let held = org.list_entries.get(&id).unwrap_or(&none);

    let (mut different, mut new, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let mut old = held.values().peekable();
    for entry in wanted.iter() {
        while let Some(before) = old.next_if(|old| old.address < entry.address) {
            gone.push(before.address);
        }
        match old.next_if(|old| old.address == entry.address) {
            Some(same) if **same == *entry => {}
            Some(_) => different.push(entry),
            None => new.push(entry),
        }
    }
    gone.extend(old.map(|old| old.address));
    if different.is_empty() && new.is_empty() && gone.is_empty() {
        return Ok(Vec::new());
    }

    let mut bytes = 0;
    let mut fits = |entry: &&&ListEntry| {
        bytes += entry_bytes(entry);
        bytes <= PART_BYTES_MAX
    };
    let mut added: Vec<ListEntry> =
        different.iter().take_while(&mut fits).take(CHANGES_MAX).copied().cloned().collect();
    let left = CHANGES_MAX - added.len();
    // A full list has room for what is new as far as something goes in the same event.
    let room = (ENTRIES_MAX - held.len().min(ENTRIES_MAX)).min(left);
    added.extend(new.iter().take_while(&mut fits).take(room + (left - room) / 2).copied().cloned());
    let removed: Vec<Span> = gone.iter().take(CHANGES_MAX - added.len()).copied().collect();
    let count = |all: usize, taken: usize| u32::try_from(all - taken).unwrap_or(u32::MAX);
    let remaining =
        Remaining { removed: count(gone.len(), removed.len()), added: count(different.len() + new.len(), added.len()) };
    Ok(vec![Event::EntriesChanged { id, removed, added, remaining }])
}

/// By address, each once; the last one counts.
fn sorted(entries: &[ListEntry]) -> Cow<'_, [ListEntry]> {
    if entries.is_sorted_by(|one, next| one.address < next.address) {
        return Cow::Borrowed(entries);
    }
    let by_address: BTreeMap<Span, &ListEntry> = entries.iter().map(|entry| (entry.address, entry)).collect();
    Cow::Owned(by_address.into_values().cloned().collect())
}

/// About what an entry takes in an event.
fn entry_bytes(entry: &ListEntry) -> usize {
    2 * entry.comment.as_str().len() + 150
}
