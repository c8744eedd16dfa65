//! Setup keys.

use schemas::event::Event;
use schemas::id::SetupKeyId;
use schemas::kind::Kind;
use schemas::setup_key::{NewSetupKey, SetupKey, SetupKeyPatch, SetupKeyType};
use schemas::state::OrgState;
use schemas::text::Name;

use super::{Context, changed_fields};
use crate::refusal::Refusal;
use crate::secrets::SecretKind;

pub(super) fn create(org: &OrgState, new: &NewSetupKey, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    name_free(org, &new.name, None)?;
    let usage_limit = match (new.key_type, new.usage_limit) {
        (SetupKeyType::OneOff, 0 | 1) => 1,
        (SetupKeyType::OneOff, _) => return Err(Refusal::UsageLimitInvalid),
        (SetupKeyType::Reusable, limit) => limit,
    };
    let id = SetupKeyId::new(ctx.id(0));
    let secret = ctx.secret(SecretKind::SetupKey, id);
    let setup_key = SetupKey {
        id,
        revision: org.revision + 1,
        name: new.name.clone(),
        description: new.description.clone(),
        metadata: new.metadata.clone(),
        key_type: new.key_type,
        prefix: secret.prefix,
        usage_limit,
        used_times: 0,
        expires_at: ctx.expiry(new.expires_at, new.expires_in)?,
        revoked: false,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    Ok(vec![Event::SetupKeyCreated { setup_key, secret_hash: secret.hash }])
}

pub(super) fn update(
    org: &OrgState,
    id: SetupKeyId,
    patch: &SetupKeyPatch,
    ctx: &Context,
) -> Result<Vec<Event>, Refusal> {
    let before = find(org, id)?;
    let mut setup_key = before.clone();
    if let Some(name) = &patch.name {
        name_free(org, name, Some(id))?;
        setup_key.name = name.clone();
    }
    if let Some(description) = &patch.description {
        setup_key.description = description.clone();
    }
    if let Some(metadata) = &patch.metadata {
        setup_key.metadata = metadata.clone();
    }
    match (before.revoked, patch.revoked) {
        (true, Some(false)) => return Err(Refusal::RevocationFinal),
        (_, Some(revoked)) => setup_key.revoked = revoked,
        (_, None) => {}
    }
    let changed = changed_fields(before, &setup_key);
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    setup_key.revision = org.revision + 1;
    setup_key.updated_at = ctx.now;
    Ok(vec![Event::SetupKeyUpdated { setup_key, changed }])
}

pub(super) fn delete(org: &OrgState, id: SetupKeyId) -> Result<Vec<Event>, Refusal> {
    find(org, id)?;
    let secret_hash = org.setup_key_hashes.get(&id).cloned();
    let secret_hash = secret_hash.unwrap_or_else(|| schemas::event::SecretHash(String::new()));
    Ok(vec![Event::SetupKeyDeleted { id, secret_hash }])
}

fn name_free(org: &OrgState, name: &Name, own: Option<SetupKeyId>) -> Result<(), Refusal> {
    match org.setup_key_names.get(name) {
        Some(holder) if Some(*holder) != own => {
            Err(Refusal::NameTaken { kind: Kind::SetupKey, name: name.to_string() })
        }
        _ => Ok(()),
    }
}

fn find(org: &OrgState, id: SetupKeyId) -> Result<&SetupKey, Refusal> {
    let found = org.setup_keys.get(&id).map(|setup_key| &**setup_key);
    found.ok_or_else(|| Refusal::NotFound { kind: Kind::SetupKey, id: id.to_string() })
}
