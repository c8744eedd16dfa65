//! `/roles`: what each role may do with each kind of resource.

use std::collections::BTreeMap;

use schemas::access::{Role, Verb};
use schemas::kind::Kind;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body::Json;

pub(crate) fn router() -> OpenApiRouter<()> {
    OpenApiRouter::default().routes(routes!(roles))
}

/// What a role may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct RoleEntry {
    role: Role,
    /// The verbs by kind of resource; a kind without verbs is left out.
    may: BTreeMap<&'static str, Vec<Verb>>,
}

/// What each role may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Roles {
    data: Vec<RoleEntry>,
}

/// Lists what each role may do with each kind of resource.
#[utoipa::path(get, path = "/roles", tag = "about", responses((status = 200, body = Roles)), security(()))]
pub(crate) async fn roles() -> Json<Roles> {
    Json(Roles { data: Role::ALL.map(entry).to_vec() })
}

fn entry(role: Role) -> RoleEntry {
    let verbs = |kind| Verb::ALL.into_iter().filter(move |verb| role.may(*verb, kind)).collect::<Vec<_>>();
    let may = Kind::ALL.iter().map(|kind| (kind.singular(), verbs(*kind)));
    RoleEntry { role, may: may.filter(|(_, verbs)| !verbs.is_empty()).collect() }
}
