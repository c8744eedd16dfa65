//! Lists: filtered, sorted and cut into pages, in one envelope for every kind.

mod ask;
mod asked;
mod params;
mod select;
mod fields;
pub(crate) mod shape;
pub(crate) mod path;
mod pick;
pub(crate) mod compare;

use std::cmp::Ordering;
use std::fmt::Display;
use std::str::FromStr;

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use self::asked::{Asked, read};
use self::path::Path;
use self::pick::Wanted;
use crate::clock::now;
use crate::problem::Problem;

pub use ask::{Cut, ListQuery, PER_PAGE_DEFAULT, PER_PAGE_MAX, Sort};
pub use fields::Fields;
pub use select::{FieldsQuery, Selected};

/// A page is rarely larger, so that its buffer seldom grows.
const PAGE_BYTES_USUAL: usize = 32 * 1024;

/// The envelope of a list, as the document describes it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Listing<T> {
    pub data: Vec<T>,
    pub meta: ListMeta,
}

/// One page of a list, written as JSON already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    pub meta: ListMeta,
    body: Vec<u8>,
}

/// Where a page stands in its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ListMeta {
    /// How many resources the filters let through.
    pub total: usize,
    /// Counts from 1; absent in lists that `before_id` leafs through.
    pub page: Option<usize>,
    pub per_page: usize,
    pub total_pages: usize,
    /// Where the next page is, as a path with a query; absent on the last.
    pub next_page_uri: Option<String>,
}

impl List {
    /// The envelope with the items and the meta data, as JSON.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl IntoResponse for List {
    fn into_response(self) -> Response {
        select::json(self.body)
    }
}

/// One page of the items, as the caller asked for it.
///
/// The items come in the order in which a list without `sort` shows them. `fields` says what may be filtered, sorted
/// and selected by: a name that is none of them is refused, not passed over. An item may be JSON already
/// (`Arc<RawValue>`). Of what is not shown, only the fields that the question needs are read, and nothing if it needs
/// none.
pub fn list<T: Serialize>(
    items: impl IntoIterator<Item = T>,
    fields: &Fields,
    query: &ListQuery,
) -> Result<List, Problem> {
    let asked = Asked::new(query, fields, now())?;
    match query.cut() {
        Cut::Page { page, per_page } => paged(items.into_iter(), &asked, *page, *per_page, query),
        Cut::Newest { limit, before_id } => {
            let mut needs = asked.needs();
            needs.add(&Path::id());
            let id = |_: &T, fields: &Value| fields.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            newest(items.into_iter(), &asked, &needs, id, (*limit, before_id.clone()), query)
        }
    }
}

/// Like [`list`], of items whose ids need not be read from their JSON: the newest of many are found sooner.
pub fn list_with_id<T: Serialize, K: Ord + Display + FromStr>(
    items: impl IntoIterator<Item = T>,
    id: impl Fn(&T) -> K,
    fields: &Fields,
    query: &ListQuery,
) -> Result<List, Problem> {
    let asked = Asked::new(query, fields, now())?;
    match query.cut() {
        Cut::Page { page, per_page } => paged(items.into_iter(), &asked, *page, *per_page, query),
        Cut::Newest { limit, before_id } => {
            let before = before_id.as_deref().map(|before| before.parse::<K>()).transpose();
            let before = before.map_err(|_| ask::invalid("before_id", "this is not the id of an item of this list"))?;
            newest(items.into_iter(), &asked, &asked.needs(), |item, _| id(item), (*limit, before), query)
        }
    }
}

fn paged<T: Serialize>(
    items: impl Iterator<Item = T>,
    asked: &Asked<'_>,
    page: usize,
    per_page: usize,
    query: &ListQuery,
) -> Result<List, Problem> {
    let mut rows = Rows::new(&asked.selected);
    let skip = page.saturating_sub(1).saturating_mul(per_page);
    let total = match (asked.is_sorted(), asked.lets_all_through()) {
        (true, _) => sorted(items, asked, skip, per_page, &mut rows)?,
        (false, true) => in_order(items, skip, per_page, &mut rows)?,
        (false, false) => matching(items, asked, skip, per_page, &mut rows)?,
    };
    let more = page.saturating_mul(per_page) < total;
    let next = more.then(|| query.uri_with("page", &(page + 1).to_string()));
    rows.end(total, Some(page), per_page, next, query)
}

/// A page of all items in their own order. Returns how many there are.
fn in_order<T: Serialize>(
    mut items: impl Iterator<Item = T>,
    skip: usize,
    take: usize,
    rows: &mut Rows,
) -> Result<usize, Problem> {
    if let (least, Some(most)) = items.size_hint()
        && least == most
    {
        items.skip(skip).take(take).try_for_each(|item| rows.push(&item))?;
        return Ok(least);
    }
    let skipped = items.by_ref().take(skip).count();
    items.by_ref().take(take).try_for_each(|item| rows.push(&item))?;
    Ok(skipped + rows.count + items.count())
}

/// A page of the items that are let through, in their own order. Returns how many these are.
fn matching<T: Serialize>(
    items: impl Iterator<Item = T>,
    asked: &Asked<'_>,
    skip: usize,
    take: usize,
    rows: &mut Rows,
) -> Result<usize, Problem> {
    let (needs, mut total) = (asked.needs(), 0);
    for item in items {
        if asked.lets_through(&read(&item, &needs)?) {
            if total >= skip && rows.count < take {
                rows.push(&item)?;
            }
            total += 1;
        }
    }
    Ok(total)
}

/// A page of the items that are let through, in the order that the caller wants; equals keep their own.
fn sorted<T: Serialize>(
    items: impl Iterator<Item = T>,
    asked: &Asked<'_>,
    skip: usize,
    take: usize,
    rows: &mut Rows,
) -> Result<usize, Problem> {
    let (needs, mut found) = (asked.needs(), Vec::new());
    for item in items {
        let fields = read(&item, &needs)?;
        if asked.lets_through(&fields) {
            found.push((asked.keys(&fields), found.len(), item));
        }
    }
    let total = found.len();
    let end = skip.saturating_add(take).min(total);
    let order =
        |one: &(Vec<_>, usize, T), other: &(Vec<_>, usize, T)| asked.order(&one.0, &other.0).then(one.1.cmp(&other.1));
    if skip < end {
        shorten(&mut found, end, order);
        found.iter().skip(skip).try_for_each(|(_, _, item)| rows.push(item))?;
    }
    Ok(total)
}

/// The newest items that are let through, those older than `before` if that is given. `needs` is what is read of each.
fn newest<T: Serialize, K: Ord + Display>(
    items: impl Iterator<Item = T>,
    asked: &Asked<'_>,
    needs: &Wanted,
    id: impl Fn(&T, &Value) -> K,
    (limit, before): (usize, Option<K>),
    query: &ListQuery,
) -> Result<List, Problem> {
    let (mut total, mut found) = (0, Vec::new());
    for item in items {
        let fields = if needs.is_empty() { Value::Null } else { read(&item, needs)? };
        if asked.lets_through(&fields) {
            total += 1;
            let id = id(&item, &fields);
            if before.as_ref().is_none_or(|before| id < *before) {
                found.push((id, item));
            }
        }
    }
    let more = found.len() > limit;
    shorten(&mut found, limit, |one, other| other.0.cmp(&one.0));
    let mut rows = Rows::new(&asked.selected);
    found.iter().try_for_each(|(_, item)| rows.push(item))?;
    let last = found.last().filter(|_| more).map(|(id, _)| query.uri_with("before_id", &id.to_string()));
    rows.end(total, None, limit, last, query)
}

/// Leaves the first `count` in order; the others need no order.
fn shorten<T>(found: &mut Vec<T>, count: usize, order: impl Fn(&T, &T) -> Ordering) {
    if count > 0 && count < found.len() {
        found.select_nth_unstable_by(count - 1, &order);
    }
    found.truncate(count);
    found.sort_unstable_by(order);
}

/// The rows of a page, as they are written.
struct Rows<'a> {
    selected: &'a Selected,
    body: Vec<u8>,
    count: usize,
}

impl<'a> Rows<'a> {
    fn new(selected: &'a Selected) -> Self {
        let mut body = Vec::with_capacity(PAGE_BYTES_USUAL);
        body.extend_from_slice(b"{\"data\":[");
        Self { selected, body, count: 0 }
    }

    fn push<T: Serialize>(&mut self, item: &T) -> Result<(), Problem> {
        if self.count > 0 {
            self.body.push(b',');
        }
        self.count += 1;
        self.selected.write(item, &mut self.body)
    }

    fn end(
        mut self,
        total: usize,
        page: Option<usize>,
        per_page: usize,
        next_page_uri: Option<String>,
        query: &ListQuery,
    ) -> Result<List, Problem> {
        let meta = ListMeta { total, page, per_page, total_pages: total.div_ceil(per_page), next_page_uri };
        self.body.extend_from_slice(b"],\"meta\":");
        serde_json::to_writer(&mut self.body, &meta).map_err(Problem::internal)?;
        self.repeat(&meta, query);
        self.body.push(b'}');
        Ok(List { meta, body: self.body })
    }
}

impl Rows<'_> {
    fn repeat(&mut self, meta: &ListMeta, query: &ListQuery) {
        let said = meta.said_again(query);
        if !said.is_empty() {
            self.body.push(b',');
            let said = Value::Object(said).to_string();
            self.body.extend_from_slice(said.trim_start_matches('{').trim_end_matches('}').as_bytes());
        }
    }
}

impl ListMeta {
    /// What of it stands beside `meta`, too, where clients of other systems look for it: who asks in their words is
    /// answered so.
    pub fn said_again(&self, query: &ListQuery) -> Map<String, Value> {
        let said = match query.cut() {
            Cut::Newest { .. } => {
                let next = self.next_page_uri.as_deref().map(|path| query.whole(path));
                json!({"uri": query.uri(), "next_page_uri": next})
            }
            Cut::Page { page, per_page } if query.is_sized() => json!({
                "page": page,
                "page_size": per_page,
                "total_records": self.total,
                "total_pages": self.total_pages,
            }),
            Cut::Page { .. } => Value::Null,
        };
        said.as_object().cloned().unwrap_or_default()
    }
}

/// What a list reads of an item that is asked for by these paths.
#[cfg(test)]
pub(crate) fn pick_of(paths: &[&Path], item: &Value) -> Value {
    let mut wanted = Wanted::default();
    paths.iter().for_each(|path| wanted.add(path));
    wanted.of(item).unwrap()
}

#[cfg(test)]
mod tests;
