//! Callers: who sends a request, proved by an API token or a JWT.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use schemas::access::{Role, Verb};
use schemas::credential::{Credential, CredentialKey};
use schemas::event::SecretHash;
use schemas::id::{OrgId, UserId};
use schemas::kind::Kind;
use schemas::reason::Reason;

use crate::jwt::JwtVerifier;
use crate::keyring::Keyring;
use crate::problem::Problem;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// How the front door knows where requests come from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct GateConfig {
    /// Addresses of reverse proxies whose X-Forwarded-For is believed
    #[arg(long, env = "NETKEEP_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpAddr>,
}

/// Turns credentials into callers. The state of every router holds one.
#[derive(Debug, Clone)]
pub struct Gate {
    keyring: Keyring,
    jwt: Option<JwtVerifier>,
    config: Arc<GateConfig>,
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub org: OrgId,
    /// `usr_…`, or `jwt:` and the subject of the JWT.
    pub actor: String,
    /// The user of an API token.
    pub user_id: Option<UserId>,
    /// The id of the API token, or `jwt`.
    pub credential: String,
    pub role: Role,
    pub source_ip: IpAddr,
}

impl Caller {
    /// Whether the caller's role allows this.
    pub fn may(&self, verb: Verb, kind: Kind) -> Result<(), Problem> {
        if self.role.may(verb, kind) {
            return Ok(());
        }
        let (role, verb) = (word(self.role), word(verb));
        Err(Problem::new(Reason::RoleForbids, format!("the role {role} may not {verb} a resource of kind {kind}")))
    }
}

impl Gate {
    pub fn new(keyring: Keyring, jwt: Option<JwtVerifier>, config: GateConfig) -> Self {
        Self { keyring, jwt, config: Arc::new(config) }
    }

    /// Finds out who sends a request.
    pub async fn admit(&self, parts: &Parts) -> Result<Caller, Problem> {
        let token = bearer(&parts.headers)?;
        let source_ip = self.source_ip(parts);
        if token.starts_with("nk_") {
            self.admit_token(token, source_ip, now())
        } else if token.bytes().filter(|byte| *byte == b'.').count() == 2 {
            self.admit_jwt(token, source_ip).await
        } else {
            Err(Problem::new(Reason::TokenUnknown, "this is neither an API token (nk_…) nor a JWT"))
        }
    }

    fn admit_token(&self, token: &str, source_ip: IpAddr, now: DateTime<Utc>) -> Result<Caller, Problem> {
        let unknown = || Problem::new(Reason::TokenUnknown, "the API token does not exist or was deleted");
        match self.keyring.find(&CredentialKey::Secret(SecretHash::of(token))).ok_or_else(unknown)? {
            Credential::ApiToken { expires_at: Some(at), .. } if at <= now => {
                Err(Problem::new(Reason::TokenExpired, "the API token has expired"))
            }
            Credential::ApiToken { org, id, owner_id, role, .. } => Ok(Caller {
                org,
                actor: owner_id.to_string(),
                user_id: Some(owner_id),
                credential: id.to_string(),
                role,
                source_ip,
            }),
            Credential::SetupKey { .. } | Credential::Device { .. } => Err(unknown()),
        }
    }

    async fn admit_jwt(&self, token: &str, source_ip: IpAddr) -> Result<Caller, Problem> {
        let Some(verifier) = &self.jwt else {
            return Err(Problem::new(Reason::JwtNotAccepted, "no issuer of JWTs is configured (--jwt-issuer)"));
        };
        let verified = verifier.verify(token).await?;
        Ok(Caller {
            org: verified.org,
            actor: format!("jwt:{}", verified.subject),
            user_id: None,
            credential: "jwt".to_owned(),
            role: verified.role,
            source_ip,
        })
    }

    /// The nearest address that is not one of our own proxies.
    fn source_ip(&self, parts: &Parts) -> IpAddr {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |connection| connection.0.ip().to_canonical());
        let trusted = |address: &IpAddr| self.config.trusted_proxies.contains(address);
        if !trusted(&peer) {
            return peer;
        }
        let hops = parts.headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).collect();
        let mut nearest = peer;
        for hop in hops.iter().rev() {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !trusted(&nearest) {
                break;
            }
        }
        nearest
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

/// The token of `Authorization: Bearer …` or `Authorization: Token …`.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        Problem::new(Reason::CredentialsMissing, "send Authorization: Bearer with an API token (nk_…) or a JWT")
            .field("Authorization")
    };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(Problem::new(Reason::HeaderInvalid, "Authorization is sent twice").field("Authorization"));
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or_else(missing)?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    let token = token.trim();
    if known && !token.is_empty() { Ok(token) } else { Err(missing()) }
}

/// A role or verb as it stands in answers.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "whether a token has expired depends on the time of the request")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(peer: &str, forwarded: &[&str]) -> Parts {
        let mut request = axum::http::Request::new(());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        for value in forwarded {
            request.headers_mut().append(FORWARDED_FOR, value.parse().unwrap());
        }
        request.into_parts().0
    }

    fn source(peer: &str, forwarded: &[&str]) -> String {
        let config = GateConfig { trusted_proxies: vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()] };
        Gate::new(Keyring::default(), None, config).source_ip(&parts(peer, forwarded)).to_string()
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        assert_eq!(source("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(source("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_a_caller_writes_in_front_of_the_proxies_is_not_believed() {
        assert_eq!(source("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(source("10.0.0.1", &["1.1.1.1", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("10.0.0.1", &["1.1.1.1, nonsense"]), "10.0.0.1");
    }

    #[test]
    fn the_scheme_is_bearer_or_token_in_any_case() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, text.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        for good in ["Bearer nk_1", "bearer nk_1", "Token nk_1", "TOKEN  nk_1 "] {
            assert_eq!(read(good).as_deref(), Ok("nk_1"), "{good}");
        }
        for bad in ["nk_1", "Basic nk_1", "Bearer", "Bearer  ", ""] {
            assert_eq!(read(bad).unwrap_err().reason, Reason::CredentialsMissing, "{bad}");
        }
    }
}
