//! A ruleset by zone pairs: what the chains of the table are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemas::config::{Ruleset, RulesetDefault, RulesetRule};
use schemas::device::InterfaceName;
use schemas::rule::Action;
use schemas::selector::Selector;
use schemas::zone::ZoneName;

use crate::interval::{Family, Interval};
use crate::region::{CELLS_MAX, Part, intervals, parts};
use crate::sides::{Asked, Sides};

use super::nat::Translation;
use super::steps::{Found, Step, steps};
use super::text;
use super::{DEFAULT_NUMBER, counter_name};

pub(super) struct Layout<'r> {
    /// The device itself is not among them.
    pub(super) zones: BTreeMap<&'r ZoneName, BTreeSet<&'r InterfaceName>>,
    pub(super) local: ZoneName,
    /// What each number does that a chain leads to.
    pub(super) rules: BTreeMap<u32, Does>,
    pub(super) sets: Vec<Set>,
    pub(super) chains: Vec<Chain>,
    pub(super) nat: Vec<Translation<'r>>,
    /// The chain that decides between two zones; none where only accept can come out.
    by_pair: BTreeMap<(ZoneName, ZoneName), String>,
}

/// What becomes of packets that a number stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Does {
    pub(super) action: Action,
    pub(super) log: bool,
    /// Whether it only counts.
    pub(super) log_only: bool,
}

/// The rules between zones.
pub(super) struct Chain {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    /// The number of what decides where no step does.
    pub(super) last: Option<u32>,
}

/// Addresses that are too many for a map.
pub(super) struct Set {
    pub(super) family: Family,
    pub(super) intervals: Arc<[Interval]>,
}

type Pair<'z> = (&'z ZoneName, &'z ZoneName);

impl<'r> Layout<'r> {
    pub(super) fn new(ruleset: &'r Ruleset) -> Self {
        let zones = zones(ruleset);
        let mut layout = Self {
            zones,
            local: ZoneName::local(),
            rules: BTreeMap::new(),
            sets: Vec::new(),
            chains: Vec::new(),
            nat: Vec::new(),
            by_pair: BTreeMap::new(),
        };
        let mut sides = Sides::new(ruleset);
        let ready: Vec<(&RulesetRule, Vec<Part>)> =
            ruleset.rules.iter().map(|rule| (rule, parts(rule, &mut sides))).collect();
        let local = ZoneName::local();
        let names: Vec<&ZoneName> = layout.zones.keys().copied().chain([&local]).collect();
        let mut known: HashMap<(Vec<usize>, Option<u32>), String> = HashMap::new();
        for from in &names {
            for to in names.iter().filter(|to| !(from.is_local() && to.is_local())) {
                layout.add_pair((from, to), ruleset, &ready, &mut known);
            }
        }
        layout.nat = translations(ruleset, &mut sides);
        layout.sets = sets(&layout);
        layout
    }

    fn add_pair(
        &mut self,
        (from, to): Pair<'_>,
        ruleset: &'r Ruleset,
        ready: &[(&'r RulesetRule, Vec<Part>)],
        known: &mut HashMap<(Vec<usize>, Option<u32>), String>,
    ) {
        let last = self.last(ruleset, (from, to));
        let between = |rule: &RulesetRule| rule.zone_from.contains(from) && rule.zone_to.contains(to);
        let places: Vec<usize> = (0..ready.len()).filter(|at| between(ready[*at].0)).collect();
        if places.is_empty() {
            self.by_pair.extend(last.map(|number| ((from.clone(), to.clone()), counter_name(number))));
            return;
        }
        let name = known.entry((places, last)).or_insert_with_key(|(places, last)| {
            let name = format!("pair.{from}.{to}");
            let mut rules = Vec::with_capacity(places.len());
            for (rule, parts) in places.iter().filter_map(|at| ready.get(*at)) {
                let does = Does { action: rule.action, log: rule.log, log_only: rule.log_only };
                self.rules.entry(rule.number).or_insert(does);
                rules.push((Found { number: rule.number, goes_on: rule.log_only }, parts.as_slice()));
            }
            self.chains.push(Chain { name: name.clone(), steps: steps(rules), last: *last });
            name
        });
        self.by_pair.insert((from.clone(), to.clone()), name.clone());
    }

    /// The number of what decides between two zones where no rule does.
    fn last(&mut self, ruleset: &Ruleset, (from, to): Pair<'_>) -> Option<u32> {
        let of_pair = |default: &&RulesetDefault| default.zone_from == *from && default.zone_to == *to;
        let (number, does) = match ruleset.defaults.iter().find(of_pair) {
            Some(default) => (default.number, Does { action: default.action, log: default.log, log_only: false }),
            None if ruleset.default_action == Action::Accept => return None,
            None => (DEFAULT_NUMBER, Does { action: ruleset.default_action, log: false, log_only: false }),
        };
        self.rules.entry(number).or_insert(does);
        Some(number)
    }

    /// The chain that decides between two zones, if anything but accept without a word can come out.
    pub(super) fn chain(&self, from: &ZoneName, to: &ZoneName) -> Option<&str> {
        self.by_pair.get(&(from.clone(), to.clone())).map(String::as_str)
    }

    /// Addresses as statements have them: the set that they are, or each of them.
    pub(super) fn addresses(&self, family: Family, intervals: &Arc<[Interval]>) -> String {
        let set = self.sets.iter().position(|set| set.family == family && Arc::ptr_eq(&set.intervals, intervals));
        if let Some(place) = set {
            return format!("@{}", text::set_name(place));
        }
        let each: Vec<String> = intervals.iter().map(|interval| text::addresses(family, *interval)).collect();
        format!("{{ {} }}", each.join(", "))
    }
}

fn zones(ruleset: &Ruleset) -> BTreeMap<&ZoneName, BTreeSet<&InterfaceName>> {
    let mut zones: BTreeMap<&ZoneName, BTreeSet<&InterfaceName>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for zone in ruleset.zones.iter().filter(|zone| !zone.name.is_local()) {
        // The kernel refuses a map with one key twice.
        let interfaces = zone.interfaces.iter().filter(|interface| seen.insert(*interface));
        zones.entry(&zone.name).or_default().extend(interfaces);
    }
    zones
}

/// The translations of each family, but those that match nothing of it.
fn translations<'r>(ruleset: &'r Ruleset, sides: &mut Sides<'r>) -> Vec<Translation<'r>> {
    let mut translations = Vec::new();
    for nat in &ruleset.nat {
        let mut side = |selector: &'r Selector| {
            sides.side(Asked { selectors: std::slice::from_ref(selector), negated: false, denies: false })
        };
        let (source, destination) = (side(&nat.source), side(&nat.destination));
        let of_family = |family| {
            let (sources, destinations) = (intervals(source.of(family))?, intervals(destination.of(family))?);
            Some(Translation { nat, family, sources, destinations })
        };
        translations.extend([Family::V4, Family::V6].into_iter().filter_map(of_family));
    }
    translations
}

/// The sets that statements need, in their order.
fn sets<'l>(layout: &'l Layout<'_>) -> Vec<Set> {
    let steps = layout.chains.iter().flat_map(|chain| &chain.steps);
    let of_step = |step: &'l Step| if let Step::Sets { part, .. } = step { Some(part) } else { None };
    let of_parts = steps.filter_map(of_step).map(|part| (part.family, [&part.sources, &part.destinations]));
    let of_nat = layout.nat.iter().map(|one| (one.family, [&one.sources, &one.destinations]));
    let (mut sets, mut seen) = (Vec::new(), BTreeSet::new());
    for (family, sides) in of_parts.chain(of_nat) {
        for intervals in sides.into_iter().flatten() {
            if intervals.len() > CELLS_MAX && seen.insert((family, intervals.as_ptr() as usize)) {
                sets.push(Set { family, intervals: Arc::clone(intervals) });
            }
        }
    }
    sets
}
