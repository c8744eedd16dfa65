//! API tokens. A caller manages their own; an admin everybody's.

use schemas::access::{Role, Scope};
use schemas::api_token::{ApiToken, NewApiToken};
use schemas::id::ApiTokenId;
use schemas::kind::Kind;
use schemas::state::OrgState;
use schemas::user::UserKind;

use super::resource::Decided;
use super::{Context, bounded};
use crate::refusal::Refusal;
use crate::secrets::SecretKind;

const SCOPES_MAX: usize = 50;

impl Decided for ApiToken {
    const SECRET: Option<SecretKind> = Some(SecretKind::ApiToken);

    fn complete(
        &mut self,
        given: &NewApiToken,
        before: Option<&Self>,
        org: &OrgState,
        ctx: &Context,
    ) -> Result<(), Refusal> {
        let own: Option<&ApiToken> =
            ctx.credential.parse().ok().and_then(|id: ApiTokenId| org.api_tokens.get(&id)).map(|token| &**token);
        // A token does not outlive the token that it was made or changed with, nor does it do more.
        let own_end = own.and_then(|own| own.expires_at);
        if own.is_some_and(|own| !own.scopes.is_empty() && own.scopes != self.scopes) {
            return Err(Refusal::RoleAboveOwn);
        }
        let had = before.and_then(|before| before.expires_at);
        let wanted = match given.expires_in {
            None if before.is_some() => {
                ctx.check_expiry(self.expires_at, had)?;
                self.expires_at
            }
            after => ctx.expiry(given.expires_at.filter(|at| Some(*at) != had), after)?,
        };
        self.expires_at = if wanted == had && before.is_some() { had } else { own_end.into_iter().chain(wanted).min() };
        match before {
            Some(before) => {
                if before.revoked && !self.revoked {
                    return Err(Refusal::TokenRevocationFinal);
                }
                if given.role.is_some_and(|role| role != before.role)
                    || given.user_id.is_some_and(|id| id != before.owner_id)
                {
                    return Err(Refusal::Fixed("a token keeps its role and its owner; create another one"));
                }
            }
            None => {
                check_caller(org, ctx)?;
                self.owner_id = owner(given, org, ctx)?;
                self.role = given.role.unwrap_or_else(|| ctx.role.min(role_of(org, self.owner_id, ctx)));
                if self.role > ctx.role.min(role_of(org, self.owner_id, ctx)) {
                    return Err(Refusal::RoleAboveOwn);
                }
                self.prefix = ctx.secret(SecretKind::ApiToken, self.id).prefix;
            }
        }
        Ok(())
    }

    fn check(&self, _: Option<&Self>, org: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("scopes", self.scopes.len(), SCOPES_MAX)?;
        let is_service = org.users.get(&self.owner_id).is_some_and(|owner| owner.kind == UserKind::Service);
        let says_nothing = |scope: &Scope| scope.verbs.is_empty() && scope.kinds.is_empty();
        if is_service && !self.revoked && (self.scopes.is_empty() || self.scopes.iter().any(says_nothing)) {
            return Err(Refusal::ServiceTokenNeedsScopes);
        }
        Ok(())
    }

    /// Tokens that the caller may not manage do not exist for them: others', and those that may do more.
    fn is_there(&self, ctx: &Context) -> bool {
        self.role <= ctx.role && (ctx.role >= Role::Admin || Some(self.owner_id) == ctx.user_id)
    }
}

/// A token is always somebody's, so that taking away the user takes away the token.
fn owner(given: &NewApiToken, org: &OrgState, ctx: &Context) -> Result<schemas::id::UserId, Refusal> {
    let own = ctx.user_id.ok_or_else(|| Refusal::NotFound { kind: Kind::User, id: "of the caller".to_owned() });
    match given.user_id {
        None => own,
        Some(id) if Some(id) == ctx.user_id => Ok(id),
        // Nobody acts in the name of another person.
        Some(id) if ctx.role >= Role::Admin => match org.users.get(&id).map(|user| user.kind) {
            Some(UserKind::Service) => Ok(id),
            Some(UserKind::Human) => {
                let cause = "a person makes their own tokens; make one for a service user".to_owned();
                Err(Refusal::Invalid { field: "user_id", cause })
            }
            None => Err(Refusal::ReferenceUnknown { field: "user_id", id: id.into() }),
        },
        Some(id) => Err(Refusal::ReferenceUnknown { field: "user_id", id: id.into() }),
    }
}

/// Who was let in may have been deleted since, with all tokens but the one that this would make.
fn check_caller(org: &OrgState, ctx: &Context) -> Result<(), Refusal> {
    let token: Option<ApiTokenId> = ctx.credential.parse().ok();
    let gone = match (token, ctx.user_id) {
        (Some(token), _) => !org.api_tokens.contains_key(&token),
        (None, Some(user)) => ctx.credential == "jwt" && !org.users.contains_key(&user),
        (None, None) => false,
    };
    if gone { Err(Refusal::NotFound { kind: Kind::User, id: "of the caller".to_owned() }) } else { Ok(()) }
}

/// What a user may do at most.
fn role_of(org: &OrgState, id: schemas::id::UserId, ctx: &Context) -> Role {
    org.users.get(&id).map_or(ctx.role, |user| user.role)
}
