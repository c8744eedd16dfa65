//! Which of many boxes overlap a given one: a k-d tree, and a forest of them that boxes can be added to.

use crate::region::{DIMENSIONS, Region};

const LEAF_ENTRIES_MAX: usize = 8;
/// The newest boxes of a forest, searched one by one.
const FRESH_ENTRIES_MAX: usize = 64;

/// A box and how much it weighs: searches look for the heaviest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) region: Region,
    pub(crate) weight: u32,
}

/// Boxes that do not change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    entries: Vec<Entry>,
    /// The last is the root.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    hull: Region,
    /// The most that a box in here weighs.
    weight: u32,
    inside: Inside,
}

#[derive(Debug, Clone)]
enum Inside {
    Entries { start: usize, end: usize },
    Nodes(usize, usize),
}

impl Tree {
    pub(crate) fn new(mut entries: Vec<Entry>) -> Self {
        let mut nodes = Vec::with_capacity(entries.len() / LEAF_ENTRIES_MAX * 4 + 1);
        build(&mut entries, 0, 0, &mut nodes);
        Self { entries, nodes }
    }

    /// The most that a box weighs which overlaps `region`, weighs more than `floor` and is accepted.
    pub(crate) fn heaviest(&self, region: &Region, floor: Option<u32>, accepts: &impl Fn(u32) -> bool) -> Option<u32> {
        match self.nodes.len() {
            0 => floor,
            count => self.search(count - 1, region, floor, accepts),
        }
    }

    fn search(&self, at: usize, region: &Region, best: Option<u32>, accepts: &impl Fn(u32) -> bool) -> Option<u32> {
        let node = &self.nodes[at];
        if best >= Some(node.weight) || !node.hull.overlaps(region) {
            return best;
        }
        match node.inside {
            Inside::Entries { start, end } => heaviest_of(&self.entries[start..end], region, best, accepts),
            Inside::Nodes(one, other) => {
                let swap = self.nodes[one].weight < self.nodes[other].weight;
                let (heavy, light) = if swap { (other, one) } else { (one, other) };
                let best = self.search(heavy, region, best, accepts);
                self.search(light, region, best, accepts)
            }
        }
    }
}

fn heaviest_of(
    entries: &[Entry],
    region: &Region,
    mut best: Option<u32>,
    accepts: &impl Fn(u32) -> bool,
) -> Option<u32> {
    for entry in entries {
        if Some(entry.weight) > best && entry.region.overlaps(region) && accepts(entry.weight) {
            best = Some(entry.weight);
        }
    }
    best
}

/// Adds the node over `entries` and all below it; answers where it is.
fn build(entries: &mut [Entry], offset: usize, depth: usize, nodes: &mut Vec<Node>) -> usize {
    let Some(first) = entries.first() else { return 0 };
    let mut hull = first.region;
    let mut weight = first.weight;
    for entry in entries.iter() {
        hull = hull.hull(&entry.region);
        weight = weight.max(entry.weight);
    }
    let inside = if entries.len() <= LEAF_ENTRIES_MAX {
        Inside::Entries { start: offset, end: offset + entries.len() }
    } else {
        let side = split_side(entries, depth);
        let half = entries.len() / 2;
        entries.select_nth_unstable_by_key(half, |entry| entry.region.middle(side));
        let (low, high) = entries.split_at_mut(half);
        let low = build(low, offset, depth + 1, nodes);
        Inside::Nodes(low, build(high, offset + half, depth + 1, nodes))
    };
    nodes.push(Node { hull, weight, inside });
    nodes.len() - 1
}

/// The next dimension in turn in which the boxes differ.
fn split_side(entries: &[Entry], depth: usize) -> usize {
    let differs = |side: &usize| {
        let middle = entries.first().map(|entry| entry.region.middle(*side));
        entries.iter().any(|entry| Some(entry.region.middle(*side)) != middle)
    };
    (0..DIMENSIONS).map(|turn| (depth + turn) % DIMENSIONS).find(differs).unwrap_or(0)
}

/// Boxes that more are added to: trees that double in size, each built again when it is merged into the next.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    trees: Vec<Tree>,
    fresh: Vec<Entry>,
}

impl Forest {
    pub(crate) fn insert(&mut self, entry: Entry) {
        self.fresh.push(entry);
        if self.fresh.len() < FRESH_ENTRIES_MAX {
            return;
        }
        let mut entries = std::mem::take(&mut self.fresh);
        while let Some(tree) = self.trees.pop_if(|tree| tree.entries.len() <= entries.len()) {
            entries.extend(tree.entries);
        }
        self.trees.push(Tree::new(entries));
    }

    /// The most that a box weighs which overlaps `region`, or `floor` if that is more.
    pub(crate) fn heaviest(&self, region: &Region, floor: Option<u32>) -> Option<u32> {
        let all = |_| true;
        let best = heaviest_of(&self.fresh, region, floor, &all);
        self.trees.iter().fold(best, |best, tree| tree.heaviest(region, best, &all))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn regions() -> impl Strategy<Value = Vec<Region>> {
        let side = (0u128..12, 0u128..6).prop_map(|(first, length)| (first, first + length));
        let region = prop::array::uniform5(side)
            .prop_map(|sides| Region { first: sides.map(|side| side.0), last: sides.map(|side| side.1) });
        prop::collection::vec(region, 1..300)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn trees_find_what_a_plain_search_finds(regions in regions(), modulus in 1u32..5) {
            let weighed = || regions.iter().zip(0u32..).map(|(region, weight)| Entry { region: *region, weight });
            let entries: Vec<Entry> = weighed().collect();
            let tree = Tree::new(entries.clone());
            let mut forest = Forest::default();
            weighed().for_each(|entry| forest.insert(entry));
            for query in &regions {
                let plain = |accepts: &dyn Fn(u32) -> bool| {
                    let hits = entries.iter().filter(|entry| entry.region.overlaps(query) && accepts(entry.weight));
                    hits.map(|entry| entry.weight).max()
                };
                let some = |weight: u32| weight.is_multiple_of(modulus);
                prop_assert_eq!(tree.heaviest(query, None, &some), plain(&some));
                prop_assert_eq!(forest.heaviest(query, None), plain(&|_| true));
            }
        }
    }
}
