//! Policies from group to group.

use schemas::id::GroupId;
use schemas::policy::{NewPolicy, Policy};
use schemas::state::OrgState;

use super::resource::{Decided, only_of};
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

const RULES_MAX: usize = 100;
const LIST_MAX: usize = 1_000;

impl Decided for Policy {
    /// A rule keeps the number of its place; numbers are never used again.
    fn complete(&mut self, _: &NewPolicy, before: Option<&Self>, org: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("rules", self.rules.len(), RULES_MAX)?;
        let had = before.map_or(0, |before| before.rules.len());
        let same = |n: usize| before.and_then(|before| before.rules.get(n)) == self.rules.get(n);
        let mut next = org.number_last;
        let mut fresh = || {
            next = next.saturating_add(1);
            next
        };
        let numbers = (0..self.rules.len()).map(|n| match before.and_then(|before| before.rule_numbers.get(n)) {
            Some(number) if n < had && same(n) => *number,
            Some(_) | None => fresh(),
        });
        self.rule_numbers = numbers.collect();
        Ok(())
    }

    fn is_within(&self, groups: &[GroupId], _: &OrgState) -> bool {
        self.rules.iter().all(|rule| only_of(&rule.sources, groups) && only_of(&rule.destinations, groups))
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        if self.rules.is_empty() {
            return Err(Refusal::ListEmpty("rules"));
        }
        for rule in &self.rules {
            for (field, length) in
                [("rules.sources", rule.sources.len()), ("rules.destinations", rule.destinations.len())]
            {
                if length == 0 {
                    return Err(Refusal::ListEmpty(field));
                }
                bounded(field, length, LIST_MAX)?;
            }
            bounded("rules.ports", rule.ports.len(), LIST_MAX)?;
            if !rule.ports.is_empty() && !rule.protocol.has_ports() {
                return Err(Refusal::PortsWithoutProtocol);
            }
        }
        Ok(())
    }
}
