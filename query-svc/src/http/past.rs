//! `?at=`: reads of the past. Who may read the audit trail may read what it adds up to.

use std::sync::Arc;

use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use gate::{Caller, Min, Problem, positioned};
use schemas::access::Verb;
use schemas::id::OrgId;
use schemas::kind::Kind;
use schemas::state::OrgState;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::App;
use super::events::invalid;
use crate::clock::now;
use crate::view::events::Events;
use crate::view::held::Snapshot;
use crate::view::past::{At, distance, fold};

/// Folding more events than these holds up other requests.
const FOLD_INLINE_MAX: usize = 1_000;
/// The header of an answer from the past: the revision that it shows.
const REVISION_HEADER: &str = "netkeep-revision";

/// The parameter `at`, as the document has it.
pub(super) fn at_parameter() -> Parameter {
    let description = "Shows the past: a revision of the org, or an RFC 3339 time. Netkeep-Revision in the answer says \
        which revision it shows. Asks for the right to read events, too";
    ParameterBuilder::new()
        .name("at")
        .parameter_in(ParameterIn::Query)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).examples(["1"])))
        .build()
}

/// An answer with what it was computed at.
pub(super) fn answered(response: impl IntoResponse, org: &Snapshot) -> Response {
    let mut response = positioned(response, org.position);
    if org.is_past {
        response.headers_mut().insert(REVISION_HEADER, HeaderValue::from(org.models.head.revision));
    }
    response
}

impl App {
    /// The caller's org, or how it was if that is asked for.
    pub(super) async fn see_at(&self, caller: &Caller, min: Min, at: Option<String>) -> Result<Arc<Snapshot>, Problem> {
        let org = self.see(caller, min).await?;
        let Some(at) = at else { return Ok(org) };
        caller.may(Verb::Read, Kind::Event)?;
        let revision = at.parse::<At>().and_then(|at| at.revision(&org.events, now()));
        let revision = revision.map_err(|none| invalid("at", &none.to_string()))?;
        let state = self.folded(&caller.org, &org.events, revision).await?;
        Ok(Arc::new(org.of_past(&state)))
    }

    async fn folded(&self, org: &OrgId, events: &Events, revision: u64) -> Result<Arc<OrgState>, Problem> {
        let from = self.folds.nearest(org, revision);
        let state = match from {
            Some(state) if state.revision == revision => return Ok(state),
            from if distance(events, from.as_deref(), revision) <= FOLD_INLINE_MAX => {
                fold(events, from.as_deref(), revision)
            }
            _ => {
                let view = self.views.org(org).await?;
                let _turn = view.folding.acquire().await.map_err(Problem::internal)?;
                // Who waited may find that it is done.
                let from = self.folds.nearest(org, revision);
                let events = events.clone();
                self.engine.spawn_cpu(move || fold(&events, from.as_deref(), revision)).await?
            }
        };
        let state = Arc::new(state.map_err(Problem::internal)?);
        self.folds.keep(org, &state);
        Ok(state)
    }
}
