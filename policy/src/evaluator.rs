//! The answer of [`evaluate`](crate::evaluate()) for many packets: rules by zone pair, found by a tree.

use std::collections::HashMap;
use std::sync::Arc;

use schemas::config::{Ruleset, RulesetDefault, RulesetRule};
use schemas::rule::Action;
use schemas::zone::ZoneName;

use crate::evaluate::{Decider, Decision, Packet, matches_service};
use crate::region::{Part, Region, parts};
use crate::sides::{Asked, Sided, Sides, denies};
use crate::tree::{Entry, Tree};

/// A ruleset made ready to decide on packets; deciding allocates nothing.
#[derive(Debug, Clone)]
pub struct Evaluator {
    /// Sorted; the device itself among them.
    zones: Vec<ZoneName>,
    /// Those that decide, in matching order.
    rules: Vec<Ready>,
    /// By the places of both zones in `zones`.
    pairs: HashMap<(usize, usize), Pair>,
    default_action: Action,
}

#[derive(Debug, Clone)]
struct Ready {
    rule: RulesetRule,
    sources: Sided,
    destinations: Sided,
}

#[derive(Debug, Clone, Default)]
struct Pair {
    /// A box weighs the more the earlier its rule is: `u32::MAX - 1` less its place in the rules. Pairs with the same
    /// rules share it.
    tree: Arc<Tree>,
    default: Option<RulesetDefault>,
}

impl Evaluator {
    /// Makes a ruleset of a moment ready; see [`evaluate`](crate::evaluate()).
    pub fn new(ruleset: &Ruleset) -> Self {
        let mut zones: Vec<ZoneName> = ruleset.zones.iter().map(|zone| zone.name.clone()).collect();
        zones.push(ZoneName::local());
        zones.sort_unstable();
        zones.dedup();
        let mut sides = Sides::new(ruleset);
        let deciding: Vec<&RulesetRule> = ruleset.rules.iter().filter(|rule| !rule.log_only).collect();
        let boxes: Vec<Vec<Part>> = deciding.iter().map(|rule| parts(rule, &mut sides)).collect();
        let mut trees: HashMap<Vec<usize>, Arc<Tree>> = HashMap::new();
        let mut pairs = HashMap::new();
        for (from_at, from) in zones.iter().enumerate() {
            for (to_at, to) in zones.iter().enumerate() {
                let between = |rule: &RulesetRule| rule.zone_from.contains(from) && rule.zone_to.contains(to);
                let places: Vec<usize> = (0..deciding.len()).filter(|at| between(deciding[*at])).collect();
                let default = ruleset.defaults.iter().find(|pair| pair.zone_from == *from && pair.zone_to == *to);
                let tree = trees.entry(places).or_insert_with_key(|places| Arc::new(tree(places, &boxes)));
                let pair = Pair { tree: Arc::clone(tree), default: default.cloned() };
                pairs.insert((from_at, to_at), pair);
            }
        }
        let rules = deciding.into_iter().map(|rule| Ready::new(rule, &mut sides)).collect();
        Self { zones, rules, pairs, default_action: ruleset.default_action }
    }

    /// Decides on the first packet of a connection; see [`evaluate`](crate::evaluate()).
    pub fn decide(&self, packet: &Packet<'_>) -> Decision<'_> {
        let Some((from, to)) = packet.zone_from.zip(packet.zone_to) else { return Decision::UNFILTERED };
        let place = |zone: &ZoneName| self.zones.binary_search(zone).ok();
        let Some(pair) = place(from).zip(place(to)) else { return Decision::UNFILTERED };
        if from.is_local() && to.is_local() {
            return Decision::UNFILTERED;
        }
        let Some(pair) = self.pairs.get(&pair) else { return Decision { verdict: self.default_action, by: None } };
        if let Some(rule) = self.first_match(pair, packet) {
            return Decision { verdict: rule.action, by: Some(Decider::Rule(rule)) };
        }
        let verdict = pair.default.as_ref().map_or(self.default_action, |default| default.action);
        Decision { verdict, by: pair.default.as_ref().map(Decider::Default) }
    }

    fn first_match(&self, pair: &Pair, packet: &Packet<'_>) -> Option<&RulesetRule> {
        let ready = |weight: u32| self.rules.get(usize::try_from(u32::MAX - 1 - weight).ok()?);
        let accepts = |weight: u32| ready(weight).is_some_and(|ready| ready.matches(packet));
        ready(pair.tree.heaviest(&Region::of(packet), None, &accepts)?).map(|ready| &ready.rule)
    }
}

/// The boxes of the rules at these places.
fn tree(places: &[usize], boxes: &[Vec<Part>]) -> Tree {
    let weighed = places.iter().filter_map(|at| {
        let weight = u32::MAX - 1 - u32::try_from(*at).ok()?;
        Some(boxes.get(*at)?.iter().flat_map(Part::regions).map(move |region| Entry { region, weight }))
    });
    Tree::new(weighed.flatten().collect())
}

impl Ready {
    fn new<'r>(rule: &'r RulesetRule, sides: &mut Sides<'r>) -> Self {
        let denies = denies(rule.action, rule.log_only);
        let sources = Asked { selectors: &rule.sources, negated: rule.sources_negated, denies };
        let destinations = Asked { selectors: &rule.destinations, negated: rule.destinations_negated, denies };
        Self { rule: rule.clone(), sources: sides.side(sources), destinations: sides.side(destinations) }
    }

    fn matches(&self, packet: &Packet<'_>) -> bool {
        matches_service(&self.rule.services, packet.protocol, packet.port)
            && self.sources.contains(packet.source)
            && self.destinations.contains(packet.destination)
    }
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
