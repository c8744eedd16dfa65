//! What holds for every org: compiling is total, bounded and canonical, and says beforehand whom an event concerns.

use proptest::prelude::*;
use schemas::event::Event;

use super::*;
use crate::generated_org::{apply, events};
use crate::{affected, at, evaluate, next_change, nft};

fn compiled(state: &OrgState) -> BTreeMap<DeviceId, (Mode, Ruleset)> {
    let mut compiler = Compiler::new(state);
    state.devices.keys().filter_map(|id| Some((*id, compiler.compile(*id)?))).collect()
}

/// The same org, made in another order.
fn again(state: &OrgState) -> OrgState {
    let mut resources: Vec<_> = state.resources().collect();
    resources.reverse();
    let mut again = OrgState::default();
    for (id, entries) in &state.list_entries {
        let added = entries.values().rev().map(|entry| entry.as_ref().clone()).collect();
        again = apply(
            &again,
            &Event::EntriesChanged { id: *id, removed: Vec::new(), added, remaining: Default::default() },
        );
    }
    resources.into_iter().for_each(|resource| again.put(resource));
    again
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn who_is_not_affected_enforces_the_same(events in prop::collection::vec(events(), 1..40)) {
        let mut before = OrgState::default();
        for event in &events {
            let after = apply(&before, event);
            let named = affected(&before, &after, event).ids(&after);
            let (were, are) = (compiled(&before), compiled(&after));
            for (device, is) in &are {
                let was = were.get(device);
                prop_assert!(named.contains(device) || was == Some(is), "{device}: {event:?}\n{was:?}\n{is:?}");
            }
            let gone = were.keys().find(|device| !are.contains_key(device) && !named.contains(device));
            prop_assert_eq!(gone, None);
            before = after;
        }
    }

    #[test]
    fn every_org_compiles_within_bounds(events in prop::collection::vec(events(), 1..60)) {
        let state = events.iter().fold(OrgState::default(), |state, event| apply(&state, event));
        let policy_rules: usize = state.policies.values().map(|policy| policy.rules.len()).sum();
        for (mode, ruleset) in compiled(&state).into_values() {
            let zones = ruleset.zones.len();
            let guards = 2 * state.firewalls.len() * zones;
            prop_assert!(ruleset.rules.len() <= state.rules.len() + guards + 2 * policy_rules);
            prop_assert!(ruleset.defaults.len() < (zones + 1) * (zones + 1));
            prop_assert!(ruleset.sets.len() <= 9, "three of each of three kinds");
            let json = serde_json::to_vec(&ruleset).expect("JSON");
            let read: Ruleset = serde_json::from_slice(&json).expect("a ruleset");
            prop_assert_eq!(&read, &ruleset);
            let now = "2026-11-30T00:00:00Z".parse().expect("a time");
            prop_assert!(nft::script(&at(&ruleset, now), mode, &nft::Options::default()).len() < 1 << 20);
            prop_assert!(next_change(&ruleset, now).is_none_or(|next| next > now));
        }
    }

    #[test]
    fn equal_orgs_compile_to_equal_bytes(events in prop::collection::vec(events(), 1..60)) {
        let state = events.iter().fold(OrgState::default(), |state, event| apply(&state, event));
        let bytes = |state: &OrgState| serde_json::to_vec(&compiled(state)).expect("JSON");
        prop_assert_eq!(bytes(&state), bytes(&again(&state)));
    }

    #[test]
    fn compiling_keeps_what_rules_mean(
        ruleset in crate::generated::rulesets(),
        packets in prop::collection::vec(crate::generated::packets(), 32),
    ) {
        let state = super::tests::org(super::tests::written(&ruleset));
        let (_, compiled) = compile(&state, crate::generated_org::device_id(0)).expect("a device");
        let given = Ruleset { default_action: DEFAULT_ACTION, ..ruleset };
        for generated in &packets {
            let number = |ruleset| evaluate(ruleset, &generated.packet()).by.map(|by| by.number());
            prop_assert_eq!(number(&given), number(&compiled));
        }
    }
}
