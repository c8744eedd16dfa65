//! `…/{id}/history`: what happened to one resource, field by field; and `/history/verify`: that nobody touched it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, Utc};
use gate::openapi::Described;
use gate::{Caller, Json, ListQuery, Min, Path, Problem, list, positioned};
use schemas::access::Verb;
use schemas::event::Meta;
use schemas::id::EventId;
use schemas::kind::Kind;
use schemas::state::OrgState;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::App;
use super::resources::Names;
use crate::shown::Shown;
use crate::view::events::{Events, StoredEvent, Verified};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// One thing that happened to a resource.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct HistoryEntry {
    /// The id of the event.
    id: EventId,
    revision: u64,
    position: u64,
    time: DateTime<Utc>,
    /// `rule.updated`.
    name: String,
    actor: String,
    credential: String,
    source_ip: Option<String>,
    command_id: String,
    changes: Vec<FieldChange>,
}

/// A field that changed; absent before means `null`, and so does absent after.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct FieldChange {
    field: String,
    before: Value,
    after: Value,
}

pub(super) fn route<T: Shown>(names: &Names) -> UtoipaMethodRouter<App> {
    let path = format!("{}/{{id}}/history", names.path);
    let summary = "Lists what happened to it, newest first; also after it was deleted.".to_owned();
    Described::get(&path, &format!("{}_history", names.singular), "history", &summary)
        .of::<T::Id>()
        .takes::<ListQuery>()
        .takes::<Min>()
        .lists::<HistoryEntry>()
        .to(get(history::<T>))
}

async fn history<T: Shown>(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path(id): Path<T::Id>,
    query: ListQuery,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Event)?;
    caller.may(Verb::Read, T::KIND)?;
    let org = app.see(&caller, min).await?;
    let (position, events, fields) = (org.position, org.events.clone(), app.fields.history.clone());
    let seen = app.seen(caller, org);
    let work = move |events: &Events| {
        let past = Past::<T>::of(id, events)?;
        match past.last.filter(|last| last.is_visible(&seen)) {
            Some(_) => list(past.entries, &fields, &query),
            None => Err(Problem::not_found(T::KIND, id)),
        }
    };
    Ok(positioned(app.over_events(events, work).await??, position))
}

/// Checks that every event of the org is there and follows the one before it, by hash.
#[utoipa::path(get, path = "/history/verify", operation_id = "verify_history", tag = "history", params(Min),
    responses((status = 200, body = Verified)))]
async fn verify(State(app): State<App>, caller: Caller, min: Min) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Event)?;
    let org = app.see(&caller, min).await?;
    let position = org.position;
    let verified = app.engine.spawn_cpu(move || org.events.verify()).await?;
    Ok(positioned(Json(verified), position))
}

/// What happened to a resource.
struct Past<T> {
    /// Newest first.
    entries: Vec<HistoryEntry>,
    /// The resource as it was last seen.
    last: Option<Arc<T>>,
}

impl<T: Shown> Past<T> {
    fn of(id: T::Id, events: &Events) -> Result<Self, Problem> {
        let mut state = OrgState::default();
        let (mut entries, mut last) = (Vec::new(), None);
        let mut before = Map::new();
        for event in events.of(&id.to_string()) {
            let recorded = event.recorded().map_err(Problem::internal)?;
            state.apply(&recorded);
            let found = T::table(&state).get(&id);
            let after = found.map(|found| fields_of(found.as_ref())).unwrap_or_default();
            entries.push(entry(&event, recorded.meta, changes(&before, &after)));
            last = found.cloned().or(last);
            before = after;
        }
        entries.reverse();
        Ok(Self { entries, last })
    }
}

/// What is stored of a resource, but for what nobody sees.
fn fields_of<T: Shown>(resource: &T) -> Map<String, Value> {
    match serde_json::to_value(resource) {
        Ok(Value::Object(mut fields)) => {
            fields.retain(|name, _| !T::HIDDEN.contains(&name.as_str()));
            fields
        }
        Ok(_) | Err(_) => Map::new(),
    }
}

fn entry(event: &StoredEvent, meta: Meta, changes: Vec<FieldChange>) -> HistoryEntry {
    HistoryEntry {
        id: meta.id,
        revision: meta.revision,
        position: event.position,
        time: meta.time,
        name: event.name.to_string(),
        actor: meta.actor,
        credential: meta.credential,
        source_ip: meta.sourceip,
        command_id: meta.commandid,
        changes,
    }
}

/// The fields that differ. What differs in every change says nothing.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<FieldChange> {
    let new = after.keys().filter(|field| !before.contains_key(*field));
    let of = |fields: &Map<String, Value>, field: &str| fields.get(field).cloned().unwrap_or_default();
    before
        .keys()
        .chain(new)
        .filter(|field| !matches!(field.as_str(), "revision" | "updated_at"))
        .map(|field| FieldChange { field: field.clone(), before: of(before, field), after: of(after, field) })
        .filter(|change| change.before != change.after)
        .collect()
}
