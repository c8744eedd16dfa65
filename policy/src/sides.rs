//! What the sources or destinations of a rule are: intervals of each family, made once for all rules that name the same.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use schemas::config::{Ruleset, RulesetSet};
use schemas::resource::{Reference, ResourceId};
use schemas::rule::Action;
use schemas::selector::Selector;

use crate::interval::{Family, Interval, complement, contains, merge, number};
use crate::region::CELLS_MAX;

/// Addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    Nothing,
    Everything,
    /// Sorted, disjoint and apart, never empty.
    In(Arc<[Interval]>),
}

/// Addresses of both families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sided {
    pub(crate) v4: Side,
    pub(crate) v6: Side,
}

/// The selectors of one side of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Asked<'r> {
    pub(crate) selectors: &'r [Selector],
    pub(crate) negated: bool,
    /// Whether the rule keeps packets from passing.
    pub(crate) denies: bool,
}

/// The sides of the rules of one ruleset.
pub(crate) struct Sides<'r> {
    sets: BTreeMap<ResourceId, &'r RulesetSet>,
    known: HashMap<Asked<'r>, Sided>,
}

impl Side {
    fn of(intervals: Vec<Interval>, family: Family) -> Self {
        match intervals.as_slice() {
            [] => Self::Nothing,
            [all] if *all == family.whole() => Self::Everything,
            _ => Self::In(intervals.into()),
        }
    }

    fn contains(&self, ip: IpAddr) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::In(intervals) => contains(intervals, number(ip)),
        }
    }

    fn is_large(&self) -> bool {
        match self {
            Self::Nothing | Self::Everything => false,
            Self::In(intervals) => intervals.len() > CELLS_MAX,
        }
    }
}

impl Sided {
    pub(crate) const NOTHING: Self = Self { v4: Side::Nothing, v6: Side::Nothing };
    pub(crate) const EVERYTHING: Self = Self { v4: Side::Everything, v6: Side::Everything };

    pub(crate) fn of(&self, family: Family) -> &Side {
        match family {
            Family::V4 => &self.v4,
            Family::Any | Family::V6 => &self.v6,
        }
    }

    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        if ip.is_ipv4() { self.v4.contains(ip) } else { self.v6.contains(ip) }
    }

    fn is_large(&self) -> bool {
        self.v4.is_large() || self.v6.is_large()
    }
}

impl Asked<'_> {
    pub(crate) fn is_anywhere(&self) -> bool {
        self.selectors.contains(&Selector::Any)
    }
}

/// Whether a rule of this action and kind keeps packets from passing.
pub(crate) fn denies(action: Action, log_only: bool) -> bool {
    match action {
        Action::Accept => false,
        Action::Drop | Action::Reject => !log_only,
    }
}

/// The set that a selector stands for, if it does.
pub(crate) fn set_of(selector: &Selector) -> Option<ResourceId> {
    selector.reference().and_then(|reference| match reference {
        Reference::Resource(id) => Some(id),
        Reference::Zone(_) => None,
    })
}

impl<'r> Sides<'r> {
    pub(crate) fn new(ruleset: &'r Ruleset) -> Self {
        let sets = ruleset.sets.iter().map(|set| (set.id, set.as_ref())).collect();
        Self { sets, known: HashMap::new() }
    }

    /// What one side matches.
    pub(crate) fn side(&mut self, asked: Asked<'r>) -> Sided {
        if !asked.selectors.iter().any(|selector| set_of(selector).is_some()) {
            return self.resolve(asked);
        }
        // Only what is negated depends on it.
        let asked = Asked { denies: asked.denies && asked.negated, ..asked };
        if let Some(known) = self.known.get(&asked) {
            return known.clone();
        }
        let sided = self.resolve(asked);
        self.known.insert(asked, sided.clone());
        sided
    }

    /// What one side matches, in parts of which each large set is one of its own, so that rules share it. They may
    /// overlap.
    pub(crate) fn split_side(&mut self, asked: Asked<'r>) -> Vec<Sided> {
        let whole = self.side(asked);
        if asked.negated || !whole.is_large() || asked.selectors.len() == 1 {
            return vec![whole];
        }
        let alone: Vec<Sided> =
            asked.selectors.chunks(1).map(|one| self.side(Asked { selectors: one, ..asked })).collect();
        let small = asked.selectors.iter().zip(&alone).filter(|(_, sided)| !sided.is_large());
        let small: Vec<Selector> = small.map(|(selector, _)| *selector).collect();
        let rest = self.resolve(Asked { selectors: &small, ..asked });
        alone.into_iter().filter(Sided::is_large).chain([rest]).collect()
    }

    fn resolve(&self, asked: Asked<'_>) -> Sided {
        let Asked { selectors, negated, denies } = asked;
        if asked.is_anywhere() {
            return if negated { Sided::NOTHING } else { Sided::EVERYTHING };
        }
        let intervals = |family: Family| {
            let mut intervals = Vec::new();
            for selector in selectors {
                match selector {
                    Selector::Span(span) if family.has(span) => intervals.push(Interval::of(span)),
                    Selector::Any | Selector::Span(_) => {}
                    Selector::Address(_) | Selector::List(_) | Selector::Group(_) => {
                        let set = set_of(selector).and_then(|id| self.sets.get(&id));
                        let spans = set.into_iter().flat_map(|set| &set.spans);
                        intervals.extend(spans.filter(|span| family.has(span)).map(Interval::of));
                    }
                }
            }
            merge(intervals)
        };
        let (v4, v6) = (intervals(Family::V4), intervals(Family::V6));
        if !negated {
            return Sided { v4: Side::of(v4, Family::V4), v6: Side::of(v6, Family::V6) };
        }
        let is_known = !(v4.is_empty() && v6.is_empty()) && selectors.iter().all(|selector| self.is_complete(selector));
        if !denies && !is_known {
            return Sided::NOTHING;
        }
        let rest = |merged: &[Interval], family: Family| Side::of(complement(merged, family.whole()), family);
        Sided { v4: rest(&v4, Family::V4), v6: rest(&v6, Family::V6) }
    }

    /// Whether every address that a selector stands for is known.
    fn is_complete(&self, selector: &Selector) -> bool {
        set_of(selector).is_none_or(|id| self.sets.get(&id).is_some_and(|set| set.domains.is_empty()))
    }
}
