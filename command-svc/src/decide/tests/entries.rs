//! The entries of address lists.

use std::collections::BTreeSet;

use proptest::prelude::*;
use schemas::address::Span;
use schemas::address_list::{ENTRIES_MAX, ListEntry};
use schemas::id::AddressListId;

use super::super::address_list::CHANGES_MAX;
use super::*;

fn list() -> Command {
    create(Kind::AddressList, json!({"name": "bad"}))
}

fn id() -> AddressListId {
    at(1)
}

fn change(json: Value) -> Command {
    Command::ChangeEntries(id(), read(json))
}

fn entry(n: usize, comment: &str) -> ListEntry {
    let address = std::net::Ipv4Addr::from(u32::try_from(n).expect("small"));
    read(json!({"address": address, "comment": comment}))
}

fn replace_with(entries: &[ListEntry]) -> Command {
    Command::ReplaceEntries(id(), entries.into())
}

fn held(org: &OrgState) -> Vec<ListEntry> {
    org.entries(id()).map(|entry| ListEntry::clone(entry)).collect()
}

#[test]
fn entries_come_and_go() {
    let first = change(json!({"add": [{"address": "10.0.0.0/8"}, {"address": "::1", "comment": "c"}]}));
    check([list(), first.clone()], Ok(&["address_list.entries_changed"]));
    check([list(), first.clone(), first.clone()], Ok(&[]));
    check([list(), change(json!({"remove": ["10.0.0.0/8"]}))], Ok(&[]));
    let second =
        change(json!({"remove": ["::1", "10.0.0.0/8", "::1"], "add": [{"address": "10.0.0.0/8", "comment": "d"}]}));
    let (org, events) = run(&[list(), first, second]);
    let [Event::EntriesChanged { removed, added, remaining, .. }] = &events.expect("accepted")[..] else {
        panic!("another event")
    };
    assert_eq!((removed.len(), added.len(), remaining.is_nothing()), (1, 1, true));
    assert_eq!(held(&org), [read::<ListEntry>(json!({"address": "10.0.0.0/8", "comment": "d"}))]);
    let list = org.address_lists.get(&id()).expect("there");
    assert_eq!((list.entries_count, list.revision), (1, org.revision));
    let gone: AddressListId = at(9);
    check([Command::ChangeEntries(gone, Default::default())], Err(not_found(gone)));
}

#[test]
fn a_change_is_bounded_and_so_is_a_list() {
    let many = |from: usize, count: usize| (from..from + count).map(|n| entry(n, "")).collect::<Vec<_>>();
    let add = |entries: Vec<ListEntry>| {
        Command::ChangeEntries(id(), schemas::address_list::EntriesPatch { add: entries, remove: vec![] })
    };
    let too_long = Refusal::ListTooLong { field: "add", length: 5_001, max: 5_000 };
    check([list(), add(many(0, 5_001))], Err(too_long));
    let full: Vec<Command> =
        std::iter::once(list()).chain((0..20).map(|part| add(many(part * 5_000, 5_000)))).collect();
    let (org, _) = run(&full);
    assert_eq!(held(&org).len(), ENTRIES_MAX);
    let decided = |command: &Command| decide(&org, command, &ctx(99)).map(|events| events.len());
    let over = Refusal::ListTooLong { field: "entries", length: ENTRIES_MAX + 1, max: ENTRIES_MAX };
    assert_eq!(decided(&add(many(ENTRIES_MAX, 1))), Err(over.clone()));
    assert_eq!(decided(&add(many(7, 1))), Ok(0));
    // Removing one entry twice makes room for one.
    let twice =
        change(json!({"remove": ["0.0.0.1", "0.0.0.1"], "add": [{"address": "9.0.0.1"}, {"address": "9.0.0.2"}]}));
    assert_eq!(decided(&twice), Err(over));
}

#[test]
fn what_has_expired_is_not_added_but_may_be_written_back() {
    let expired = json!({"address": "10.0.0.1", "expires_at": "1970-01-01T00:00:01Z"});
    check([list(), change(json!({"add": [expired]}))], Err(Refusal::ExpiryInPast));
    check([list(), replace_with(&[read(expired)])], Ok(&["address_list.entries_changed"]));
}

/// Replaces until nothing remains; says how many parts it took.
fn replace_all(org: &mut OrgState, wanted: &[ListEntry]) -> usize {
    let after: BTreeSet<Span> = wanted.iter().map(|entry| entry.address).collect();
    let both: Vec<Span> = held(org).iter().map(|old| old.address).filter(|address| after.contains(address)).collect();
    let command = replace_with(wanted);
    for part in 1..100 {
        let events = decide(org, &command, &ctx(50)).expect("accepted");
        let Some(Event::EntriesChanged { removed, added, remaining, .. }) = events.first() else { return part - 1 };
        assert!(removed.len() + added.len() <= CHANGES_MAX);
        let bytes = serde_json::to_string(&events[0]).expect("writes").len();
        assert!(bytes < crate::group::COMMIT_BYTES_MAX, "{bytes}");
        let (is_last, revision) = (remaining.is_nothing(), org.revision + 1);
        org.apply_event(&events[0], revision, time(50));
        let now = &org.list_entries[&id()];
        assert!(now.len() <= ENTRIES_MAX, "never more than a list may have: {}", now.len());
        assert!(both.iter().all(|address| now.contains_key(address)), "what is in both is always there");
        if is_last {
            assert_eq!(decide(org, &command, &ctx(50)), Ok(vec![]), "the last part says so");
            return part;
        }
    }
    panic!("it never ends")
}

#[test]
fn a_full_list_is_replaced_by_another_in_bounded_parts() {
    let (mut org, _) = run(&[list()]);
    let many = |from: usize| (from..from + ENTRIES_MAX).map(|n| entry(n, "")).collect::<Vec<_>>();
    assert_eq!(replace_all(&mut org, &many(0)), 20);
    assert_eq!(held(&org), many(0));
    // Half of it stays.
    let half = ENTRIES_MAX / 2;
    let parts = replace_all(&mut org, &many(half).into_iter().rev().collect::<Vec<_>>()[..half]);
    assert_eq!((parts, held(&org).len()), (30, half));
    assert_eq!(replace_all(&mut org, &[]), 10);
    let over: Vec<ListEntry> = (0..=ENTRIES_MAX).map(|n| entry(n, "")).collect();
    let refusal = Refusal::ListTooLong { field: "entries", length: ENTRIES_MAX + 1, max: ENTRIES_MAX };
    assert_eq!(decide(&org, &replace_with(&over), &ctx(50)), Err(refusal));
}

#[test]
fn long_comments_make_small_parts() {
    let (mut org, _) = run(&[list()]);
    let comment = "é".repeat(1_000);
    let entries: Vec<ListEntry> = (0..2_000).map(|n| entry(n, &comment)).collect();
    assert!(replace_all(&mut org, &entries) > 4);
    assert_eq!(held(&org), entries);
}

proptest! {
    #[test]
    fn whatever_a_list_held_it_holds_what_it_is_given(
        before in prop::collection::vec((0usize..60, 0u8..3), 0..50),
        after in prop::collection::vec((0usize..60, 0u8..3), 0..50),
    ) {
        let entries = |of: Vec<(usize, u8)>| of.into_iter().map(|(n, c)| entry(n, &c.to_string())).collect::<Vec<_>>();
        let (before, after) = (entries(before), entries(after));
        let (mut org, _) = run(&[list()]);
        for wanted in [before, after.clone()] {
            replace_all(&mut org, &wanted);
        }
        let wanted: std::collections::BTreeMap<_, _> = after.into_iter().map(|entry| (entry.address, entry)).collect();
        prop_assert_eq!(held(&org), wanted.into_values().collect::<Vec<_>>());
    }
}
