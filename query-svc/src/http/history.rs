//! `…/{id}/history`: what happened to one resource, field by field; and `/history/verify`: that nobody touched it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use gate::{Caller, Json, ListQuery, Listing, Min, Path, Problem, positioned};
use schemas::access::Verb;
use schemas::event::Recorded;
use schemas::id::{DeviceId, EventId, RuleId, SetupKeyId, ZoneId};
use schemas::kind::Kind;
use schemas::state::OrgState;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, listed};
use crate::view::events::{Events, StoredEvent, Verified};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(of_rule))
        .routes(routes!(of_zone))
        .routes(routes!(of_device))
        .routes(routes!(of_setup_key))
        .routes(routes!(verify))
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

/// Lists what happened to a rule, newest first; a reordering that moved it counts.
#[utoipa::path(get, path = "/firewall/rules/{id}/history", operation_id = "rule_history", tag = "history",
    params(("id" = RuleId, Path), ListQuery, Min), responses((status = 200, body = Listing<HistoryEntry>)))]
async fn of_rule(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path(id): Path<RuleId>,
    query: ListQuery,
) -> Result<Response, Problem> {
    app.history(&caller, min, query, Kind::Rule, id.to_string(), move |org| json(org.rules.get(&id))).await
}

/// Lists what happened to a zone, newest first.
#[utoipa::path(get, path = "/zones/{id}/history", operation_id = "zone_history", tag = "history",
    params(("id" = ZoneId, Path), ListQuery, Min), responses((status = 200, body = Listing<HistoryEntry>)))]
async fn of_zone(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path(id): Path<ZoneId>,
    query: ListQuery,
) -> Result<Response, Problem> {
    app.history(&caller, min, query, Kind::Zone, id.to_string(), move |org| json(org.zones.get(&id))).await
}

/// Lists what happened to a device, newest first: also every config that it applied or could not.
#[utoipa::path(get, path = "/devices/{id}/history", operation_id = "device_history", tag = "history",
    params(("id" = DeviceId, Path), ListQuery, Min), responses((status = 200, body = Listing<HistoryEntry>)))]
async fn of_device(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path(id): Path<DeviceId>,
    query: ListQuery,
) -> Result<Response, Problem> {
    app.history(&caller, min, query, Kind::Device, id.to_string(), move |org| json(org.devices.get(&id))).await
}

/// Lists what happened to a setup key, newest first.
#[utoipa::path(get, path = "/setup-keys/{id}/history", operation_id = "setup_key_history", tag = "history",
    params(("id" = SetupKeyId, Path), ListQuery, Min), responses((status = 200, body = Listing<HistoryEntry>)))]
async fn of_setup_key(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path(id): Path<SetupKeyId>,
    query: ListQuery,
) -> Result<Response, Problem> {
    app.history(&caller, min, query, Kind::SetupKey, id.to_string(), move |org| json(org.setup_keys.get(&id))).await
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

impl App {
    async fn history(
        &self,
        caller: &Caller,
        min: Min,
        query: ListQuery,
        kind: Kind,
        id: String,
        resource: impl Fn(&OrgState) -> Map<String, Value> + Send + 'static,
    ) -> Result<Response, Problem> {
        caller.may(Verb::Read, Kind::Event)?;
        caller.may(Verb::Read, kind)?;
        let org = self.see(caller, min).await?;
        let (position, fields) = (org.position, self.fields.clone());
        let work = move |events: &Events| {
            let entries = entries(&events.of(&id), resource)?;
            match entries.is_empty() {
                true => Err(Problem::not_found(kind, id)),
                false => listed(entries, &fields.history, &query, position),
            }
        };
        self.over_events(org.events, work).await?
    }
}

/// What happened to a resource, newest first.
fn entries(
    events: &[Arc<StoredEvent>],
    resource: impl Fn(&OrgState) -> Map<String, Value>,
) -> Result<Vec<HistoryEntry>, Problem> {
    let mut state = OrgState::default();
    let mut entries = Vec::with_capacity(events.len());
    for event in events {
        let before = resource(&state);
        let recorded = Recorded::parse(event.stored.get()).map_err(Problem::internal)?;
        state.apply(&recorded);
        entries.push(entry(event, changes(&before, &resource(&state))));
    }
    entries.reverse();
    Ok(entries)
}

fn json<T: Serialize>(resource: Option<&T>) -> Map<String, Value> {
    match resource.map(serde_json::to_value) {
        Some(Ok(Value::Object(fields))) => fields,
        Some(_) | None => Map::new(),
    }
}

fn entry(event: &StoredEvent, changes: Vec<FieldChange>) -> HistoryEntry {
    let meta = &event.meta;
    HistoryEntry {
        id: meta.id,
        revision: meta.revision,
        position: event.position,
        time: meta.time,
        name: event.name.clone(),
        actor: meta.actor.clone(),
        credential: meta.credential.clone(),
        source_ip: meta.sourceip.clone(),
        command_id: meta.commandid.clone(),
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
