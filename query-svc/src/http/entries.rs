//! `/address-lists/{id}/entries`: the entries of an address list, by page or all in one stream.

use std::convert::Infallible;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use gate::list::Cut;
use gate::{Caller, IfNoneMatch, ListQuery, Listing, Min, Path, Problem, etagged, list};
use imbl::OrdMap;
use schemas::access::Verb;
use schemas::address::Span;
use schemas::address_list::ListEntry;
use schemas::id::AddressListId;
use schemas::kind::Kind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::events::invalid;
use super::past::answered;
use super::resources::ROWS_INLINE_MAX;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(entries))
}

const NDJSON: &str = "application/x-ndjson";
/// Entries that are written at once.
const CHUNK_ENTRIES: usize = 1_000;

/// Lists the entries of an address list in the order of their addresses, those that have expired included.
///
/// With `Accept: application/x-ndjson` all of them come, one a line. The ETag is the revision of the list.
#[utoipa::path(get, path = "/address-lists/{id}/entries", operation_id = "list_address_list_entries",
    tag = "address-lists", params(("id" = AddressListId, Path), ListQuery, Min,
    ("contains" = Option<String>, Query, description = "Only entries that hold this address"),
    ("at" = Option<String>, Query, description = "Shows the past: a revision of the org, or an RFC 3339 time")),
    responses((status = 200, content((Listing<ListEntry> = "application/json"), (String = "application/x-ndjson"))),
        (status = 304, description = "The caller has this revision already")))]
async fn entries(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
    Path(id): Path<AddressListId>,
    headers: HeaderMap,
    mut query: ListQuery,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::AddressList)?;
    let contains = query.take("contains").map(|text| text.parse::<IpAddr>()).transpose();
    let contains = contains.map_err(|_| invalid("contains", "contains takes an address: 192.0.2.7"))?;
    if matches!(query.cut(), Cut::Newest { .. }) {
        return Err(invalid("limit", "entries have no ids: leaf with page and per_page"));
    }
    let org = app.see_at(&caller, min, query.take("at")).await?;
    let lists = &org.events.lists;
    let list = lists.address_lists.get(&id).ok_or_else(|| Problem::not_found(Kind::AddressList, id))?;
    let revision = list.revision;
    if known.has(revision) {
        return Ok(answered(etagged(StatusCode::NOT_MODIFIED, revision), &org));
    }
    let entries = lists.list_entries.get(&id).cloned().unwrap_or_default();
    let response = match headers.get(ACCEPT).is_some_and(wants_lines) {
        true => Lines { entries, after: Bound::Unbounded, contains }.into_response(),
        false => app.entry_page(entries, contains, query).await?,
    };
    Ok(answered(etagged(response, revision), &org))
}

impl App {
    async fn entry_page(
        &self,
        entries: Entries,
        contains: Option<IpAddr>,
        query: ListQuery,
    ) -> Result<Response, Problem> {
        let fields = self.fields.entries.clone();
        let is_plain = contains.is_none() && query.sort().is_empty() && query.filters().is_empty();
        let page = self.paged(is_plain || entries.len() <= ROWS_INLINE_MAX, move || match contains {
            None => list(entries.values(), &fields, &query),
            Some(ip) => list(entries.values().filter(|entry| entry.address.contains(ip)), &fields, &query),
        });
        Ok(page.await?.into_response())
    }
}

type Entries = OrdMap<Span, Arc<ListEntry>>;

/// Whether the caller would rather have lines.
fn wants_lines(accept: &HeaderValue) -> bool {
    let offered = |range: &str| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(NDJSON);
    accept.to_str().unwrap_or_default().split(',').any(offered)
}

/// Entries as lines, written as they are taken.
struct Lines {
    entries: Entries,
    after: Bound<Span>,
    contains: Option<IpAddr>,
}

impl Lines {
    fn chunk(&mut self) -> Option<Bytes> {
        let mut lines = Vec::new();
        let wanted = |entry: &ListEntry| self.contains.is_none_or(|ip| entry.address.contains(ip));
        let rest = self.entries.range((self.after, Bound::Unbounded)).filter(|(_, entry)| wanted(entry));
        for (address, entry) in rest.take(CHUNK_ENTRIES) {
            self.after = Bound::Excluded(*address);
            serde_json::to_writer(&mut lines, entry.as_ref()).ok()?;
            lines.push(b'\n');
        }
        (!lines.is_empty()).then(|| lines.into())
    }
}

impl IntoResponse for Lines {
    fn into_response(self) -> Response {
        let chunks = stream::unfold(self, |mut lines| async move {
            let chunk = lines.chunk()?;
            Some((Ok::<_, Infallible>(chunk), lines))
        });
        ([(CONTENT_TYPE, HeaderValue::from_static(NDJSON))], Body::from_stream(chunks)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_every_entry_once_and_in_order() {
        let entry = |number: u32| ListEntry {
            address: std::net::Ipv4Addr::from(number).to_string().parse().expect("an address"),
            comment: Default::default(),
            expires_at: None,
        };
        let entries: Entries = (0..2_500).map(entry).map(|entry| (entry.address, Arc::new(entry))).collect();
        let mut lines = Lines { entries: entries.clone(), after: Bound::Unbounded, contains: None };
        let chunks: Vec<Bytes> = std::iter::from_fn(|| lines.chunk()).collect();
        assert_eq!(chunks.len(), 3);
        let read = serde_json::Deserializer::from_slice(&chunks.concat())
            .into_iter::<ListEntry>()
            .collect::<Result<Vec<_>, _>>()
            .expect("entries");
        assert!(read.iter().eq(entries.values().map(AsRef::as_ref)));
        let mut one =
            Lines { entries, after: Bound::Unbounded, contains: Some("0.0.4.1".parse().expect("an address")) };
        assert_eq!(one.chunk().as_deref(), Some(b"{\"address\":\"0.0.4.1\"}\n".as_slice()));
        assert_eq!(one.chunk(), None);
    }

    #[test]
    fn lines_are_for_who_asks_for_them() {
        for (accept, lines) in [
            ("application/x-ndjson", true),
            ("application/json, application/X-NDJSON;q=0.5", true),
            ("*/*", false),
            ("application/json", false),
        ] {
            assert_eq!(wants_lines(&HeaderValue::from_static(accept)), lines, "{accept}");
        }
    }
}
