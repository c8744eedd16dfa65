//! The answer of [`evaluate`](crate::evaluate()) for many packets: rules by zone pair, found by a tree.

use std::collections::HashMap;

use schemas::config::{Ruleset, RulesetRule};
use schemas::rule::Action;
use schemas::zone::ZoneName;

use crate::evaluate::{Decision, Packet, matches};
use crate::region::{Region, parts};
use crate::tree::{Entry, Tree};

/// A ruleset made ready to decide on packets; deciding allocates nothing.
#[derive(Debug, Clone)]
pub struct Evaluator {
    /// Sorted; the device itself among them.
    zones: Vec<ZoneName>,
    /// By the places of both zones in `zones`.
    pairs: HashMap<(usize, usize), Pair>,
    default_action: Action,
}

#[derive(Debug, Clone, Default)]
struct Pair {
    rules: Vec<RulesetRule>,
    /// A box weighs the more the earlier its rule is: `u32::MAX - 1` less its place in `rules`.
    tree: Tree,
}

impl Evaluator {
    pub fn new(ruleset: &Ruleset) -> Self {
        let mut zones: Vec<ZoneName> = ruleset.zones.iter().map(|zone| zone.name.clone()).collect();
        zones.push(ZoneName::local());
        zones.sort_unstable();
        zones.dedup();
        let mut rules: HashMap<(usize, usize), Vec<RulesetRule>> = HashMap::new();
        for rule in &ruleset.rules {
            if let Some(pair) = place(&zones, &rule.zone_from).zip(place(&zones, &rule.zone_to)) {
                rules.entry(pair).or_default().push(rule.clone());
            }
        }
        let pairs = rules.into_iter().map(|(pair, rules)| (pair, Pair::new(rules))).collect();
        Self { zones, pairs, default_action: ruleset.default_action }
    }

    /// Decides on the first packet of a connection; see [`evaluate`](crate::evaluate()).
    pub fn decide(&self, packet: &Packet<'_>) -> Decision<'_> {
        let unfiltered = Decision { verdict: Action::Accept, rule: None };
        let Some((from, to)) = packet.zone_from.zip(packet.zone_to) else { return unfiltered };
        let Some(pair) = place(&self.zones, from).zip(place(&self.zones, to)) else { return unfiltered };
        if from.is_local() && to.is_local() {
            return unfiltered;
        }
        let rule = self.pairs.get(&pair).and_then(|pair| pair.first_match(packet));
        Decision { verdict: rule.map_or(self.default_action, |rule| rule.action), rule }
    }
}

impl Pair {
    fn new(rules: Vec<RulesetRule>) -> Self {
        let weighed = (0..u32::MAX).rev().zip(&rules).flat_map(|(weight, rule)| {
            let regions = parts(rule).into_iter().flat_map(|part| part.regions());
            regions.map(move |region| Entry { region, weight })
        });
        Self { tree: Tree::new(weighed.collect()), rules }
    }

    fn first_match(&self, packet: &Packet<'_>) -> Option<&RulesetRule> {
        let rule = |weight: u32| self.rules.get(usize::try_from(u32::MAX - 1 - weight).ok()?);
        let accepts = |weight: u32| rule(weight).is_some_and(|rule| matches(rule, packet));
        rule(self.tree.heaviest(&Region::of(packet), None, &accepts)?)
    }
}

fn place(zones: &[ZoneName], zone: &ZoneName) -> Option<usize> {
    zones.binary_search(zone).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::evaluate;
    use crate::generated;

    proptest! {
        #[test]
        fn it_decides_as_evaluate_does(
            ruleset in generated::rulesets(),
            packets in prop::collection::vec(generated::packets(), 64),
        ) {
            let evaluator = Evaluator::new(&ruleset);
            for generated in &packets {
                let packet = generated.packet();
                prop_assert_eq!(evaluator.decide(&packet), evaluate(&ruleset, &packet));
            }
        }
    }
}
