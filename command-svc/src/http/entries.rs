//! `/address-lists/{id}/entries`: what is in an address list, changed entry by entry or replaced as a whole.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use gate::{Caller, Path, Problem, ProblemBody, Write, WriteList, WriteOptions, WriteQuery, etagged, positioned};
use schemas::access::Verb;
use schemas::address::Span;
use schemas::address_list::{ENTRIES_MAX, EntriesPatch, ListEntry, Remaining};
use schemas::command::Command;
use schemas::id::AddressListId;
use schemas::kind::Kind;
use schemas::reason::Reason;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, Call, replayed};
use crate::answer::Answer;
use crate::submission::Accepted;

/// As many entries as a list may have, with comments.
const LIST_BYTES_MAX: usize = 16 << 20;
/// Commits that one replacement may take: more than a list can need, unless somebody else keeps changing it.
const PARTS_MAX: usize = 256;

pub(super) fn router() -> OpenApiRouter<App> {
    let whole = OpenApiRouter::new().routes(routes!(replace)).layer(DefaultBodyLimit::max(LIST_BYTES_MAX));
    OpenApiRouter::new().routes(routes!(change)).routes(routes!(add)).routes(routes!(remove)).merge(whole)
}

/// Entries of an address list; as NDJSON one entry a line.
#[derive(Debug, Clone, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Entries {
    /// Of entries with the same address the last one counts.
    entries: Vec<ListEntry>,
}

impl From<Vec<ListEntry>> for Entries {
    fn from(entries: Vec<ListEntry>) -> Self {
        Self { entries }
    }
}

/// Which entry is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    address: Span,
}

/// What a change of entries did.
#[derive(Serialize, utoipa::ToSchema)]
struct Changed {
    removed: usize,
    added: usize,
}

/// What replacing the entries did.
#[derive(Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
struct Replaced {
    removed: usize,
    /// Entries that are new, or differ from the one of the same address.
    added: usize,
    unchanged: usize,
    /// The entries that the list has.
    total: usize,
}

/// Removes and adds entries of an address list, up to 5,000 in one commit.
#[utoipa::path(patch, path = "/address-lists/{id}/entries", operation_id = "change_address_list_entries", tag = "address-lists",
    params(("id" = AddressListId, Path), WriteOptions), request_body = EntriesPatch,
    responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AddressListId>,
    patch: Write<EntriesPatch>,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, patch.options, Command::ChangeEntries(id, patch.body)).await
}

/// Adds entries to an address list, up to 5,000 in one commit. An entry of the same address is replaced.
#[utoipa::path(post, path = "/address-lists/{id}/entries", operation_id = "add_address_list_entries", tag = "address-lists",
    params(("id" = AddressListId, Path), WriteOptions),
    request_body(content((Entries = "application/json"), (ListEntry = "application/x-ndjson"))),
    responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AddressListId>,
    list: WriteList<Entries, ListEntry>,
) -> Result<Response, Problem> {
    let patch = EntriesPatch { add: list.body.entries, remove: Vec::new() };
    app.submit(caller, Verb::Update, list.options, Command::ChangeEntries(id, patch)).await
}

/// Removes one entry of an address list, by its address.
#[utoipa::path(delete, path = "/address-lists/{id}/entries", operation_id = "remove_address_list_entry", tag = "address-lists",
    params(("id" = AddressListId, Path), ("address" = Span, Query, description = "The address, block or range, as the entry has it"), WriteOptions),
    responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AddressListId>,
    which: WriteQuery<Which>,
) -> Result<Response, Problem> {
    let patch = EntriesPatch { add: Vec::new(), remove: vec![which.query.address] };
    app.submit(caller, Verb::Update, which.options, Command::ChangeEntries(id, patch)).await
}

/// Replaces all entries of an address list, up to 100,000.
///
/// Only what differs is changed, up to 5,000 entries a commit, so that a large replacement is not atomic: devices may see
/// it in parts. An address that is listed before and after is listed all the time. A call that was cut off is repeated
/// as it was. `If-Match` is compared before the first part.
#[utoipa::path(put, path = "/address-lists/{id}/entries", operation_id = "replace_address_list_entries", tag = "address-lists",
    params(("id" = AddressListId, Path), WriteOptions),
    request_body(content((Entries = "application/json"), (ListEntry = "application/x-ndjson"))),
    responses((status = 200, body = Replaced), (status = "default", body = ProblemBody)))]
async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AddressListId>,
    list: WriteList<Entries, ListEntry>,
) -> Result<Response, Problem> {
    caller.may(Verb::Update, Kind::AddressList)?;
    let entries = each_once(list.body.entries)?;
    let whole = Call::new(caller, list.options);
    let mut done = Replaced { unchanged: entries.len(), total: entries.len(), ..Replaced::default() };
    let mut is_replay = None;
    for number in 0..PARTS_MAX {
        let accepted = app.run(whole.part(number), Command::ReplaceEntries(id, entries.clone())).await?;
        let answer = match accepted {
            Accepted::Done(answer) => answer,
            Accepted::Would { answer, events, .. } => {
                let remaining = done.count(&answer);
                done.add(remaining.removed, remaining.added);
                let told = json!({"dry_run": true, "events": events, "resource": done, "changes": []});
                return Ok(positioned(axum::Json(told), answer.position));
            }
        };
        let remaining = done.count(&answer);
        is_replay.get_or_insert(answer.replayed);
        if remaining.is_nothing() {
            let response = etagged(axum::Json(&done).into_response(), answer.revision);
            return Ok(positioned(replayed(response, is_replay == Some(true)), answer.position));
        }
    }
    let message = "others keep changing the list; what is missing is done by the same call";
    Err(Problem::new(Reason::Overloaded, message).retry_after(1))
}

impl Replaced {
    /// Adds what one part did, and says what remains.
    fn count(&mut self, answer: &Answer) -> Remaining {
        let number = |name: &str| answer.body.get(name).and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
        self.add(number("removed").unwrap_or(0), number("added").unwrap_or(0));
        let remaining = answer.body.get("remaining").cloned();
        remaining.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default()
    }

    fn add(&mut self, removed: u32, added: u32) {
        self.removed += removed as usize;
        self.added += added as usize;
        self.unchanged = self.total.saturating_sub(self.added);
    }
}

/// The entries by address, each once, so that no part has to sort them again.
fn each_once(mut entries: Vec<ListEntry>) -> Result<Arc<[ListEntry]>, Problem> {
    // The last one of an address comes first, and is kept.
    entries.reverse();
    entries.sort_by_key(|entry| entry.address);
    entries.dedup_by_key(|entry| entry.address);
    if entries.len() > ENTRIES_MAX {
        let message = format!("{} entries, more than {ENTRIES_MAX}", entries.len());
        return Err(Problem::new(Reason::ListTooLong, message).field("entries"));
    }
    Ok(entries.into())
}
