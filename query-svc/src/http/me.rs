//! `/me` and `/users/current`: who the caller is, and what they may.

use std::collections::BTreeMap;

use axum::extract::State;
use gate::{Caller, Json, Problem};
use schemas::access::{Role, Scope, Verb};
use schemas::id::{OrgId, UserId};
use schemas::kind::Kind;
use schemas::text::Name;
use schemas::user::{Email, UserKind, UserStatus};
use schemas::view::UserView;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::shown::Shown as _;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(me)).routes(routes!(current_user))
}

/// Who sends the request.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct Me {
    org: OrgId,
    /// The user's id, if the caller is a user.
    id: Option<UserId>,
    name: Option<Name>,
    email: Option<Email>,
    kind: Option<UserKind>,
    status: Option<UserStatus>,
    /// `usr_…`, or `jwt:` and the subject of the JWT.
    actor: String,
    user_id: Option<UserId>,
    /// The id of the API token, or `jwt`.
    credential: String,
    role: Role,
    /// What the API token is bound to; absent means all that the role may.
    scopes: Option<Vec<Scope>>,
    /// What the caller may: the verbs by kind of resource, after the scopes; a kind without verbs is left out.
    permissions: BTreeMap<&'static str, Vec<Verb>>,
    #[schema(value_type = String)]
    source_ip: std::net::IpAddr,
}

/// Says who the caller is, and what they may.
#[utoipa::path(get, path = "/me", operation_id = "me", tag = "about", responses((status = 200, body = Me)))]
async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Me>, Problem> {
    let permissions = permissions(&caller);
    let user = match caller.user_id {
        Some(id) => app.user(&caller, id).await?,
        None => None,
    };
    let Caller { org, actor, user_id, credential, role, source_ip, token_scopes } = caller;
    Ok(Json(Me {
        org,
        id: user_id,
        kind: user.as_ref().map(|user| user.kind),
        status: user.as_ref().map(|user| user.status),
        name: user.as_ref().and_then(|user| user.name.clone()),
        email: user.and_then(|user| user.email),
        actor,
        user_id,
        credential,
        role,
        scopes: token_scopes.map(|scopes| scopes.to_vec()),
        permissions,
        source_ip,
    }))
}

/// Says who the caller is: another name of `/me`.
#[utoipa::path(get, path = "/users/current", operation_id = "show_current_user", tag = "users", responses(
    (status = 200, body = Me)))]
async fn current_user(app: State<App>, caller: Caller) -> Result<Json<Me>, Problem> {
    me(app, caller).await
}

fn permissions(caller: &Caller) -> BTreeMap<&'static str, Vec<Verb>> {
    let verbs = |kind| Verb::ALL.into_iter().filter(|verb| caller.may(*verb, kind).is_ok()).collect::<Vec<_>>();
    let may = Kind::ALL.iter().map(|kind| (kind.singular(), verbs(*kind)));
    may.filter(|(_, verbs)| !verbs.is_empty()).collect()
}

impl App {
    /// The user that the caller is.
    async fn user(&self, caller: &Caller, id: UserId) -> Result<Option<UserView>, Problem> {
        let org = self.views.org(&caller.org).await?.at(None).await?;
        let seen = self.seen(caller.clone(), org.clone());
        let found = org.models.state.users.get(&id);
        Ok(found.map(|user| user.view(&seen).into_owned()))
    }
}
