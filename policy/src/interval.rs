//! Numbers in intervals: addresses of one family, or ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemas::address::Span;

/// An inclusive range of addresses or ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Interval {
    pub(crate) first: u128,
    pub(crate) last: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    /// Every address of the family.
    pub(crate) fn whole(self) -> Interval {
        let last = match self {
            Self::V4 => u128::from(u32::MAX),
            Self::Any | Self::V6 => u128::MAX,
        };
        Interval { first: 0, last }
    }

    pub(crate) fn has(self, span: &Span) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => span.is_ipv4(),
            Self::V6 => !span.is_ipv4(),
        }
    }
}

impl Interval {
    pub(crate) fn of(span: &Span) -> Self {
        Self { first: number(span.first()), last: number(span.last()) }
    }

    /// The addresses of this interval, in a family that has them.
    pub(crate) fn span(self, family: Family) -> Option<Span> {
        let address = |number: u128| match family {
            Family::V4 => u32::try_from(number).ok().map(|v4| IpAddr::V4(Ipv4Addr::from(v4))),
            Family::Any | Family::V6 => Some(IpAddr::V6(Ipv6Addr::from(number))),
        };
        Span::new(address(self.first)?, address(self.last)?)
    }
}

/// The same numbers in as few intervals as possible: sorted, disjoint and apart.
pub(crate) fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match merged.last_mut() {
            Some(before) if interval.first <= before.last.saturating_add(1) => {
                before.last = before.last.max(interval.last);
            }
            Some(_) | None => merged.push(interval),
        }
    }
    merged
}

/// What of `whole` is not in `merged` intervals.
pub(crate) fn complement(merged: &[Interval], whole: Interval) -> Vec<Interval> {
    let mut rest = Vec::with_capacity(merged.len() + 1);
    let mut next = Some(whole.first);
    for interval in merged {
        if let Some(first) = next.filter(|first| *first < interval.first) {
            rest.push(Interval { first, last: interval.first - 1 });
        }
        next = interval.last.checked_add(1).filter(|next| *next <= whole.last);
    }
    rest.extend(next.map(|first| Interval { first, last: whole.last }));
    rest
}

/// Whether a number is in `merged` intervals.
pub(crate) fn contains(merged: &[Interval], number: u128) -> bool {
    let after = merged.partition_point(|interval| interval.first <= number);
    after.checked_sub(1).and_then(|at| merged.get(at)).is_some_and(|interval| number <= interval.last)
}

/// The same addresses in as few spans as possible, sorted.
pub(crate) fn merge_spans<'s>(spans: impl IntoIterator<Item = &'s Span>) -> Vec<Span> {
    let (v4, v6): (Vec<&Span>, Vec<&Span>) = spans.into_iter().partition(|span| span.is_ipv4());
    let merged = |family: Family, spans: Vec<&Span>| {
        let intervals = merge(spans.into_iter().map(Interval::of).collect());
        intervals.into_iter().filter_map(move |interval| interval.span(family))
    };
    merged(Family::V4, v4).chain(merged(Family::V6, v6)).collect()
}

pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn intervals() -> impl Strategy<Value = Vec<Interval>> {
        let interval = (0u128..40, 0u128..6).prop_map(|(first, length)| Interval { first, last: first + length });
        prop::collection::vec(interval, 0..12)
    }

    proptest! {
        #[test]
        fn a_number_is_in_one_of_both(given in intervals()) {
            let whole = Interval { first: 0, last: 63 };
            let merged = merge(given.clone());
            let rest = complement(&merged, whole);
            prop_assert_eq!(&merge(rest.clone()), &rest);
            for number in 0..64 {
                let plain = given.iter().any(|interval| interval.first <= number && number <= interval.last);
                prop_assert_eq!(contains(&merged, number), plain);
                prop_assert_eq!(contains(&rest, number), !plain);
            }
        }
    }

    #[test]
    fn the_ends_of_the_world_are_in_reach() {
        let whole = Family::V6.whole();
        assert_eq!(complement(&[], whole), [whole]);
        assert_eq!(complement(&[whole], whole), []);
        let top = Interval { first: u128::MAX, last: u128::MAX };
        assert_eq!(complement(&[top], whole), [Interval { first: 0, last: u128::MAX - 1 }]);
    }
}
