//! What a caller asks of a list, checked against the fields that its items have.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::ask::ListQuery;
use super::compare;
use super::fields::Fields;
use super::path::Path;
use super::pick::Wanted;
use super::select::Selected;
use crate::filter::Filter;
use crate::problem::Problem;

/// A question to a list that can be answered.
pub(super) struct Asked<'q> {
    equal: Vec<(Path, &'q str)>,
    filter: Option<Filter>,
    sort: Vec<(Path, bool)>,
    pub(super) selected: Selected,
    now: DateTime<Utc>,
}

impl<'q> Asked<'q> {
    /// Refuses what the items do not have, whether it filters, sorts or selects.
    pub(super) fn new(query: &'q ListQuery, fields: &Fields, now: DateTime<Utc>) -> Result<Self, Problem> {
        let (mut equal, mut filter, mut selected) = (Vec::new(), None, Selected::default());
        for (name, value) in query.filters() {
            match name.as_str() {
                "filter" => filter = Some(Filter::parse(value, fields)?),
                "fields" => selected = Selected::parse(Some(value), fields)?,
                field => equal.push((fields.path(field).map_err(|problem| problem.field(field))?, value.as_str())),
            }
        }
        let sort = query.sort().iter().map(|key| match fields.path(&key.field) {
            Ok(path) => Ok((path, key.descending)),
            Err(problem) => Err(problem.field("sort")),
        });
        Ok(Self { equal, filter, sort: sort.collect::<Result<_, _>>()?, selected, now })
    }

    /// Whether all items are let through.
    pub(super) fn lets_all_through(&self) -> bool {
        self.equal.is_empty() && self.filter.is_none()
    }

    pub(super) fn is_sorted(&self) -> bool {
        !self.sort.is_empty()
    }

    /// What must be read of an item to see whether and where it is shown.
    pub(super) fn needs(&self) -> Wanted {
        let mut wanted = Wanted::default();
        let equal = self.equal.iter().map(|(path, _)| path);
        let sort = self.sort.iter().map(|(path, _)| path);
        for path in equal.chain(sort).chain(self.filter.iter().flat_map(Filter::paths)) {
            wanted.add(path);
        }
        wanted
    }

    pub(super) fn lets_through(&self, item: &Value) -> bool {
        self.equal.iter().all(|(path, wanted)| compare::matches(path.of(item).as_deref(), wanted))
            && self.filter.as_ref().is_none_or(|filter| filter.matches(item, self.now))
    }

    /// What an item is ordered by.
    pub(super) fn keys(&self, item: &Value) -> Vec<Option<Value>> {
        self.sort.iter().map(|(path, _)| path.of(item).map(std::borrow::Cow::into_owned)).collect()
    }

    pub(super) fn order(&self, one: &[Option<Value>], other: &[Option<Value>]) -> Ordering {
        let keys = one.iter().zip(other).zip(&self.sort);
        keys.fold(Ordering::Equal, |so_far, ((one, other), (_, descending))| {
            so_far.then_with(|| {
                let order = compare::order(one.as_ref(), other.as_ref());
                if *descending { order.reverse() } else { order }
            })
        })
    }
}

/// Reads the fields that a question needs of an item.
pub(super) fn read<T: Serialize>(item: &T, needs: &Wanted) -> Result<Value, Problem> {
    needs.of(item).map_err(|error| Problem::internal(format!("an item of a list cannot be read: {error}")))
}
