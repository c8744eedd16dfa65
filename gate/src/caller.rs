//! Callers: who sends a request, and what they may.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use schemas::access::{Role, Scope, Verb, groups_within};
use schemas::id::{GroupId, OrgId, UserId};
use schemas::kind::Kind;
use schemas::reason::Reason;

use crate::admission::Gate;
use crate::problem::Problem;

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub org: OrgId,
    /// `usr_…`, or `jwt:` and the subject of a JWT that is of no user.
    pub actor: String,
    /// The user of an API token, or of a JWT where users sign in.
    pub user_id: Option<UserId>,
    /// The id of the API token, or `jwt`.
    pub credential: String,
    pub role: Role,
    pub source_ip: IpAddr,
    /// What the API token is bound to; `None` is bound to nothing.
    pub token_scopes: Option<Arc<[Scope]>>,
}

impl Caller {
    /// Whether the caller's role allows this and the scopes of the token cover it.
    pub fn may(&self, verb: Verb, kind: Kind) -> Result<(), Problem> {
        if !self.role.may(verb, kind) {
            let (role, verb) = (word(self.role), word(verb));
            let message = format!("the role {role} may not {verb} a resource of kind {kind}");
            return Err(Problem::new(Reason::RoleForbids, message));
        }
        match &self.token_scopes {
            Some(scopes) if !scopes.iter().any(|scope| scope.covers(verb, kind)) => {
                let message = format!("no scope of the token covers {} of a resource of kind {kind}", word(verb));
                Err(Problem::new(Reason::ScopeForbids, message))
            }
            // The audit trail is of the whole org.
            Some(_) if kind == Kind::Event && self.device_groups(verb, kind).is_some() => {
                let message = "a token that is bound to groups of devices does not read the audit trail";
                Err(Problem::new(Reason::ScopeForbids, message))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The groups whose devices the caller may do this with; `None` is all devices.
    pub fn device_groups(&self, verb: Verb, kind: Kind) -> Option<Vec<GroupId>> {
        groups_within(self.token_scopes.as_ref()?, verb, kind)
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Gate: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Gate::from_ref(state).admit(parts).await
    }
}

/// A role or verb as it stands in answers.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn caller(role: Role, scopes: Option<&str>) -> Caller {
        let scopes = scopes.map(|text| serde_json::from_str::<Vec<Scope>>(text).unwrap());
        Caller {
            org: "acme".parse().unwrap(),
            actor: "jwt:ann".to_owned(),
            user_id: None,
            credential: "jwt".to_owned(),
            role,
            source_ip: Ipv4Addr::LOCALHOST.into(),
            token_scopes: scopes.map(Arc::from),
        }
    }

    const GROUP: &str = "grp_01jcz3k9mv5x8q2w4e6r7t9y0a";

    fn refused(caller: &Caller, verb: Verb, kind: Kind) -> Option<Reason> {
        caller.may(verb, kind).err().map(|problem| problem.reason)
    }

    #[test]
    fn a_scope_narrows_what_the_role_allows_and_never_widens_it() {
        let scopes = r#"[{"verbs":["read"],"kinds":["rule","zone"]},{"verbs":["create"],"kinds":["rule"]}]"#;
        let operator = caller(Role::Operator, Some(scopes));
        assert_eq!(refused(&operator, Verb::Read, Kind::Zone), None);
        assert_eq!(refused(&operator, Verb::Create, Kind::Rule), None);
        assert_eq!(refused(&operator, Verb::Create, Kind::Zone), Some(Reason::ScopeForbids));
        assert_eq!(refused(&operator, Verb::Read, Kind::Device), Some(Reason::ScopeForbids));
        let viewer = caller(Role::Viewer, Some(scopes));
        assert_eq!(refused(&viewer, Verb::Create, Kind::Rule), Some(Reason::RoleForbids));
        assert_eq!(refused(&caller(Role::Operator, None), Verb::Create, Kind::Zone), None);
        // Bound to no scope at all, a token may nothing.
        assert_eq!(refused(&caller(Role::Owner, Some("[]")), Verb::Read, Kind::Rule), Some(Reason::ScopeForbids));
    }

    #[test]
    fn groups_are_those_of_the_scopes_that_cover() {
        let scopes = r#"[{"verbs":["read"]},{"verbs":["update"],"kinds":["device"],"device_groups":["GROUP"]}]"#;
        let scopes = scopes.replace("GROUP", GROUP);
        let caller = caller(Role::Operator, Some(&scopes));
        assert_eq!(caller.device_groups(Verb::Read, Kind::Device), None);
        assert_eq!(caller.device_groups(Verb::Update, Kind::Device), Some(vec![GROUP.parse().unwrap()]));
        assert_eq!(caller.device_groups(Verb::Delete, Kind::Device), Some(vec![]));
        let bound = self::caller(Role::Owner, Some(&r#"[{"device_groups":["GROUP"]}]"#.replace("GROUP", GROUP)));
        assert_eq!(refused(&bound, Verb::Read, Kind::Event), Some(Reason::ScopeForbids));
        assert_eq!(refused(&bound, Verb::Read, Kind::Device), None);
        assert_eq!(self::caller(Role::Viewer, None).device_groups(Verb::Read, Kind::Device), None);
    }
}
