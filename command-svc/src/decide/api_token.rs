//! API tokens. A caller manages their own; an admin everybody's.

use schemas::access::Role;
use schemas::api_token::{ApiToken, ApiTokenPatch, NewApiToken};
use schemas::event::{Event, SecretHash};
use schemas::id::ApiTokenId;
use schemas::kind::Kind;
use schemas::state::OrgState;
use schemas::text::Name;

use super::{Context, changed_fields};
use crate::refusal::Refusal;
use crate::secrets::SecretKind;

pub(super) fn create(org: &OrgState, new: &NewApiToken, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    name_free(org, &new.name, None)?;
    let role = new.role.unwrap_or(ctx.role);
    if role > ctx.role {
        return Err(Refusal::RoleAboveOwn);
    }
    // A token is always somebody's, so that taking away the user takes away the token.
    let owner_id = ctx.user_id.ok_or_else(|| Refusal::NotFound { kind: Kind::User, id: "of the caller".to_owned() })?;
    // Nor does it outlive the token that it was created with.
    let own_end = ctx.credential.parse().ok().and_then(|id: ApiTokenId| org.api_tokens.get(&id)?.expires_at);
    let wanted_end = ctx.expiry(new.expires_at, new.expires_in)?;
    let expires_at = own_end.into_iter().chain(wanted_end).min();
    let id = ApiTokenId::new(ctx.id(0));
    let secret = ctx.secret(SecretKind::ApiToken, id);
    let api_token = ApiToken {
        id,
        revision: org.revision + 1,
        name: new.name.clone(),
        description: new.description.clone(),
        owner_id,
        role,
        prefix: secret.prefix,
        expires_at,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    Ok(vec![Event::ApiTokenCreated { api_token, secret_hash: secret.hash }])
}

pub(super) fn update(
    org: &OrgState,
    id: ApiTokenId,
    patch: &ApiTokenPatch,
    ctx: &Context,
) -> Result<Vec<Event>, Refusal> {
    let before = find(org, id, ctx)?;
    let mut api_token = before.clone();
    if let Some(name) = &patch.name {
        name_free(org, name, Some(id))?;
        api_token.name = name.clone();
    }
    if let Some(description) = &patch.description {
        api_token.description = description.clone();
    }
    let changed = changed_fields(before, &api_token);
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    api_token.revision = org.revision + 1;
    api_token.updated_at = ctx.now;
    Ok(vec![Event::ApiTokenUpdated { api_token, changed }])
}

pub(super) fn delete(org: &OrgState, id: ApiTokenId, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    find(org, id, ctx)?;
    let secret_hash = org.api_token_hashes.get(&id).cloned().unwrap_or_else(|| SecretHash(String::new()));
    Ok(vec![Event::ApiTokenDeleted { id, secret_hash }])
}

fn name_free(org: &OrgState, name: &Name, own: Option<ApiTokenId>) -> Result<(), Refusal> {
    match org.api_token_names.get(name) {
        Some(holder) if Some(*holder) != own => {
            Err(Refusal::NameTaken { kind: Kind::ApiToken, name: name.to_string() })
        }
        _ => Ok(()),
    }
}

/// Tokens that the caller may not manage do not exist for them: others', and those that may do more.
fn find<'a>(org: &'a OrgState, id: ApiTokenId, ctx: &Context) -> Result<&'a ApiToken, Refusal> {
    let manages =
        |token: &&ApiToken| token.role <= ctx.role && (ctx.role >= Role::Admin || Some(token.owner_id) == ctx.user_id);
    let found = org.api_tokens.get(&id).map(|token| &**token).filter(manages);
    found.ok_or_else(|| Refusal::NotFound { kind: Kind::ApiToken, id: id.to_string() })
}
