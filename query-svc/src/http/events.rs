//! `/events`: the audit trail, newest first, as it is stored.

use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use gate::list::Cut;
use gate::{Caller, Json, ListMeta, ListQuery, Min, Problem, positioned};
use schemas::access::Verb;
use schemas::kind::Kind;
use schemas::reason::Reason;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::next_page::next_page_uri;
use crate::view::events::{Events, StoredEvent};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all))
}

/// A page of events.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct EventPage<'a> {
    /// CloudEvents 1.0 in their JSON form: the bytes that were hashed.
    #[schema(value_type = Vec<Object>)]
    data: Vec<&'a RawValue>,
    meta: ListMeta,
    #[serde(flatten)]
    #[schema(ignore)]
    said_again: Map<String, Value>,
}

/// Which events are shown.
#[derive(Debug, Default)]
struct Filter {
    /// `rule.created`, or `rule.` for all that begins so.
    name: Option<String>,
    kind: Option<String>,
    resource: Option<String>,
    actor: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    from_revision: Option<u64>,
    to_revision: Option<u64>,
    after: Option<u64>,
    oldest_first: bool,
}

/// Lists what happened, newest first.
#[utoipa::path(get, path = "/events", operation_id = "list_events", tag = "events", params(ListQuery, Min,
    ("type" = Option<String>, Query, description = "rule.created, or rule. for all that begins so; also name"),
    ("kind" = Option<String>, Query, description = "The kind of resource: rule"),
    ("resource" = Option<String>, Query, description = "The id of the resource"),
    ("actor" = Option<String>, Query, description = "Who did it"),
    ("since" = Option<String>, Query, description = "RFC 3339; this time and later"),
    ("until" = Option<String>, Query, description = "RFC 3339; before this time"),
    ("from_revision" = Option<u64>, Query, description = "This revision and later"),
    ("to_revision" = Option<u64>, Query, description = "This revision and earlier"),
    ("after" = Option<u64>, Query, description = "After this position")),
    responses((status = 200, body = EventPage)))]
async fn all(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    OriginalUri(uri): OriginalUri,
    mut query: ListQuery,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Event)?;
    let filter = Filter::take(&mut query)?;
    let org = app.see(&caller, min).await?;
    let position = org.position;
    let page = app.over_events(org.events.clone(), move |events| page(events, &filter, &query, &uri)).await??;
    Ok(positioned(page, position))
}

fn page(events: &Events, filter: &Filter, query: &ListQuery, uri: &Uri) -> Result<Response, Problem> {
    let matching = filter.matching(events);
    let total = matching.len();
    let (shown, page, per_page, next) = match query.cut() {
        Cut::Page { page, per_page } => {
            let skip = page.saturating_sub(1).saturating_mul(*per_page);
            let shown: Vec<&StoredEvent> = matching.into_iter().skip(skip).take(*per_page).collect();
            let more = skip.saturating_add(*per_page) < total;
            (shown, Some(*page), *per_page, more.then(|| ("page", (page + 1).to_string())))
        }
        Cut::Newest { limit, before_id } => {
            let before = before_id.as_deref().map(|id| revision_of(events, id)).transpose()?;
            let older = matching.into_iter().filter(|event| before.is_none_or(|before| event.revision < before));
            let mut shown: Vec<&StoredEvent> = older.take(limit + 1).collect();
            let more = shown.len() > *limit;
            shown.truncate(*limit);
            let last = shown.last().filter(|_| more).map(|event| ("before_id", event.id.to_string()));
            (shown, None, *limit, last)
        }
    };
    let next_page_uri = next.map(|(name, value)| next_page_uri(uri, &[(name, value)]));
    let meta = ListMeta { total, page, per_page, total_pages: total.div_ceil(per_page), next_page_uri };
    let data = shown.into_iter().map(|event| event.stored.as_ref()).collect();
    let said_again = meta.said_again(query);
    Ok(Json(EventPage { data, meta, said_again }).into_response())
}

fn revision_of(events: &Events, id: &str) -> Result<u64, Problem> {
    let found = events.all.iter().find(|event| event.id.to_string() == id);
    found.map(|event| event.revision).ok_or_else(|| invalid("before_id", "there is no event with this id"))
}

impl Filter {
    fn take(query: &mut ListQuery) -> Result<Self, Problem> {
        let name = query.take("type").or(query.take("name"));
        let filter = Self {
            name: name.map(|name| name.strip_prefix("netkeep.").unwrap_or(&name).trim_end_matches(".v1").to_owned()),
            kind: query.take("kind"),
            resource: query.take("resource"),
            actor: query.take("actor"),
            since: parsed(query, "since", "a time is RFC 3339: 2026-11-21T13:00:00Z")?,
            until: parsed(query, "until", "a time is RFC 3339: 2026-11-21T13:00:00Z")?,
            from_revision: parsed(query, "from_revision", "a revision is a whole number")?,
            to_revision: parsed(query, "to_revision", "a revision is a whole number")?,
            after: parsed(query, "after", "a position is a whole number")?,
            oldest_first: match query.sort() {
                [] => false,
                [sort] if matches!(sort.field.as_str(), "revision" | "time") => !sort.descending,
                _ => return Err(invalid("sort", "events are sorted by revision or -revision")),
            },
        };
        match query.filters().keys().next() {
            Some(unknown) => Err(invalid(unknown, "there is no such filter of events")),
            None => Ok(filter),
        }
    }

    fn matching<'a>(&self, events: &'a Events) -> Vec<&'a StoredEvent> {
        let mut matching: Vec<&StoredEvent> =
            events.all.iter().map(AsRef::as_ref).filter(|event| self.lets_through(event)).collect();
        if !self.oldest_first {
            matching.reverse();
        }
        matching
    }

    fn lets_through(&self, event: &StoredEvent) -> bool {
        let name = self.name.as_deref().is_none_or(|name| match name.ends_with('.') {
            true => event.name.starts_with(name),
            false => *event.name == *name,
        });
        name && self.kind.as_deref().is_none_or(|kind| event.kind.is_some_and(|mine| mine.singular() == kind))
            && self.resource.as_deref().is_none_or(|resource| event.concerns(resource))
            && self.actor.as_deref().is_none_or(|actor| *event.actor == *actor)
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time < until)
            && self.from_revision.is_none_or(|from| event.revision >= from)
            && self.to_revision.is_none_or(|to| event.revision <= to)
            && self.after.is_none_or(|after| event.position > after)
    }
}

fn parsed<T: std::str::FromStr>(query: &mut ListQuery, name: &str, expected: &str) -> Result<Option<T>, Problem> {
    query.take(name).map(|text| text.parse().map_err(|_| invalid(name, expected))).transpose()
}

pub(super) fn invalid(name: &str, message: &str) -> Problem {
    Problem::new(Reason::QueryInvalid, message).field(name)
}
