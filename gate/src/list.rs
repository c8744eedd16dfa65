//! Lists: filtered, sorted and cut into pages, in one envelope for every kind.

mod ask;
mod compare;
mod fields;

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::body::Json;
use crate::problem::Problem;

pub use ask::{Cut, ListQuery, PER_PAGE_DEFAULT, PER_PAGE_MAX, Sort};
pub use fields::Fields;

/// The envelope of a list, as the document describes it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Listing<T> {
    pub data: Vec<T>,
    pub meta: ListMeta,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct List {
    #[schema(value_type = Vec<Object>)]
    pub data: Vec<Value>,
    pub meta: ListMeta,
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

impl IntoResponse for List {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// One page of the items, as the caller asked for it.
///
/// The items come in the order in which a list without `sort` shows them. `fields` says what may be filtered and
/// sorted by: a filter that is none of them is refused, not passed over.
pub fn list<T: Serialize>(
    items: impl IntoIterator<Item = T>,
    fields: &Fields,
    query: &ListQuery,
) -> Result<List, Problem> {
    query.check(fields)?;
    let (data, total) = match (query.cut(), query.sort()) {
        (Cut::Page { page, per_page }, None) => {
            in_order(items, query, page.saturating_sub(1).saturating_mul(*per_page), *per_page)?
        }
        (Cut::Page { page, per_page }, Some(sort)) => {
            let mut data = matching(items, query)?;
            data.sort_by(|one, other| sort.order(one, other));
            let total = data.len();
            (data.into_iter().skip(page.saturating_sub(1).saturating_mul(*per_page)).take(*per_page).collect(), total)
        }
        (Cut::Newest { limit, before_id }, _) => {
            let mut data = matching(items, query)?;
            let total = data.len();
            data.sort_by(|one, other| id(other).cmp(id(one)));
            let older = |item: &Value| before_id.as_deref().is_none_or(|before| id(item) < before);
            // One more than asked for tells whether there is a next page.
            (data.into_iter().filter(older).take(*limit + 1).collect(), total)
        }
    };
    Ok(page(data, total, query))
}

/// A page of items in their own order. Only what is shown or filtered is serialized.
fn in_order<T: Serialize>(
    items: impl IntoIterator<Item = T>,
    query: &ListQuery,
    skip: usize,
    take: usize,
) -> Result<(Vec<Value>, usize), Problem> {
    let (mut data, mut total) = (Vec::new(), 0);
    for item in items {
        let shown = total >= skip && data.len() < take;
        if query.filters().is_empty() {
            if shown {
                data.push(json(item)?);
            }
            total += 1;
        } else {
            let item = json(item)?;
            if query.lets_through(&item) {
                if shown {
                    data.push(item);
                }
                total += 1;
            }
        }
    }
    Ok((data, total))
}

fn matching<T: Serialize>(items: impl IntoIterator<Item = T>, query: &ListQuery) -> Result<Vec<Value>, Problem> {
    let mut data = Vec::new();
    for item in items {
        let item = json(item)?;
        if query.lets_through(&item) {
            data.push(item);
        }
    }
    Ok(data)
}

fn page(mut data: Vec<Value>, total: usize, query: &ListQuery) -> List {
    let (page, per_page, next) = match query.cut() {
        Cut::Page { page, per_page } => {
            let more = page.saturating_mul(*per_page) < total;
            (Some(*page), *per_page, more.then(|| query.uri_with("page", &(page + 1).to_string())))
        }
        Cut::Newest { limit, .. } => {
            let more = data.len() > *limit;
            data.truncate(*limit);
            let last = data.last().map(|item| id(item).to_owned()).filter(|_| more);
            (None, *limit, last.map(|last| query.uri_with("before_id", &last)))
        }
    };
    let meta = ListMeta { total, page, per_page, total_pages: total.div_ceil(per_page), next_page_uri: next };
    List { data, meta }
}

fn id(item: &Value) -> &str {
    item.get("id").and_then(Value::as_str).unwrap_or_default()
}

fn json(item: impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(item)
        .map_err(|error| Problem::internal(format!("an item of a list cannot be written as JSON: {error}")))
}

#[cfg(test)]
mod tests;
