//! Admission: from credentials to a caller, within the limits and from where the org allows it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use schemas::access::Scope;
use schemas::credential::{Credential, CredentialKey};
use schemas::event::SecretHash;
use schemas::id::OrgId;
use schemas::reason::Reason;

use crate::caller::Caller;
use crate::clock::now;
use crate::config::{ConfigErrors, GateConfig};
use crate::cors::Cors;
use crate::jwt::{JwtConfig, JwtVerifier, Verified};
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::problem::Problem;
use crate::sign_in::{SignIn, SignInHook, SignIns};
use crate::tally::Tally;
use crate::uses::{Used, Uses};

const FORWARDED_FOR: &str = "x-forwarded-for";
/// What the actor and the credential of a JWT begin with.
const JWT: &str = "jwt";

/// Turns credentials into callers. The state of every router holds one.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keyring: Keyring,
    jwt: Option<JwtVerifier>,
    limits: Limits,
    trusted_proxies: Vec<IpAddr>,
    cors: Option<Cors>,
    sign_ins: OnceLock<SignIns>,
    uses: Uses,
}

impl Gate {
    pub fn new(keyring: Keyring, jwt: Option<JwtVerifier>, config: &GateConfig) -> Result<Self, ConfigErrors> {
        Self::build(keyring, Ok(jwt), config)
    }

    /// A gate as it is configured, or all that is wrong with both configurations.
    pub fn configured(keyring: Keyring, jwt: &JwtConfig, config: &GateConfig) -> Result<Self, ConfigErrors> {
        Self::build(keyring, jwt.verifier().map_err(|error| error.to_string()), config)
    }

    fn build(
        keyring: Keyring,
        jwt: Result<Option<JwtVerifier>, String>,
        config: &GateConfig,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let jwt = jwt.unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let settings = config.read(&mut errors);
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        let limits = Limits::new(keyring.clone(), settings.figures);
        let (trusted_proxies, cors, sign_ins) = (settings.trusted_proxies, settings.cors, OnceLock::new());
        let uses = Uses::default();
        Ok(Self(Arc::new(Inner { keyring, jwt, limits, trusted_proxies, cors, sign_ins, uses })))
    }

    /// The counts behind the limits.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// When what was used last.
    pub fn uses(&self) -> &Uses {
        &self.0.uses
    }

    /// From here on, who comes with a JWT is a user of the org. The first hook stays.
    pub fn on_sign_in(&self, hook: SignInHook) {
        if self.0.sign_ins.set(SignIns::new(hook)).is_err() {
            tracing::warn!("a second hook for sign-ins was passed over");
        }
    }

    /// Asks anew who a person is when they come next: the user was changed, blocked or deleted.
    pub fn forget_user(&self, org: &OrgId, subject: &str) {
        if let Some(sign_ins) = self.0.sign_ins.get() {
            sign_ins.forget(org, subject);
        }
    }

    pub(crate) fn cors(&self) -> Option<&Cors> {
        self.0.cors.as_ref()
    }

    /// Finds out who sends a request, and whether they may send it.
    pub async fn admit(&self, parts: &Parts) -> Result<Caller, Problem> {
        let source_ip = self.source_ip(parts);
        let caller = match self.identify(parts, source_ip).await {
            Ok(caller) => caller,
            Err(problem) => return Err(self.refuse(source_ip, problem)),
        };
        if !self.0.keyring.org(&caller.org).admits(source_ip) {
            let message = format!("the org takes no calls from {source_ip}");
            return Err(Problem::new(Reason::SourceIpForbidden, message));
        }
        let tally = Tally::of(&parts.extensions, parts.uri.path());
        let standing = tally.count(|class| self.0.limits.count(&caller.org, class, now()));
        standing.refusal().map_or(Ok(caller), Err)
    }

    /// Who has these credentials.
    async fn identify(&self, parts: &Parts, source_ip: IpAddr) -> Result<Caller, Problem> {
        let token = bearer(&parts.headers)?;
        if token.starts_with("nk_") {
            self.identify_token(token, source_ip)
        } else if token.bytes().filter(|byte| *byte == b'.').count() == 2 {
            self.identify_jwt(token, source_ip).await
        } else {
            Err(Problem::new(Reason::TokenUnknown, "this is neither an API token (nk_…) nor a JWT"))
        }
    }

    fn identify_token(&self, token: &str, source_ip: IpAddr) -> Result<Caller, Problem> {
        let unknown = || Problem::new(Reason::TokenUnknown, "the API token does not exist or was deleted");
        let credential = self.0.keyring.find(&CredentialKey::Secret(SecretHash::of(token))).ok_or_else(unknown)?;
        match credential {
            Credential::ApiToken { expires_at: Some(at), .. } if at <= now() => {
                Err(Problem::new(Reason::TokenExpired, "the API token has expired"))
            }
            Credential::ApiToken { revoked: true, .. } => {
                Err(Problem::new(Reason::TokenRevoked, "the API token was revoked"))
            }
            Credential::ApiToken { org, id, owner_id, role, scopes, .. } => {
                let owner = self.0.keyring.user(&owner_id);
                if owner.is_some_and(|owner| owner.blocked) {
                    return Err(Problem::new(Reason::UserBlocked, "the user that the token belongs to is blocked"));
                }
                self.0.uses.note(Used::ApiToken(id), &org, now());
                Ok(Caller {
                    org,
                    actor: owner_id.to_string(),
                    user_id: Some(owner_id),
                    credential: id.to_string(),
                    role: owner.map_or(role, |owner| role.min(owner.role)),
                    source_ip,
                    token_scopes: bound(scopes),
                })
            }
            Credential::SetupKey { .. } | Credential::Device { .. } => Err(unknown()),
        }
    }

    async fn identify_jwt(&self, token: &str, source_ip: IpAddr) -> Result<Caller, Problem> {
        let Some(verifier) = &self.0.jwt else {
            return Err(Problem::new(Reason::JwtNotAccepted, "no issuer of JWTs is configured (--jwt-issuer)"));
        };
        let Verified { org, subject, role, email, name } = verifier.verify(token).await?;
        let caller = |actor, user_id, role, org| Caller {
            org,
            actor,
            user_id,
            credential: JWT.to_owned(),
            role,
            source_ip,
            token_scopes: None,
        };
        let Some(sign_ins) = self.0.sign_ins.get() else {
            return Ok(caller(format!("{JWT}:{subject}"), None, role, org));
        };
        let issuer = verifier.issuer().to_owned();
        let person = SignIn { org: org.clone(), issuer, subject, email, name, role };
        let user = sign_ins.ask(person, self.0.keyring.users_version()).await?;
        if user.blocked {
            return Err(Problem::new(Reason::UserBlocked, "the user is blocked in this org"));
        }
        let role = user.role.min(verifier.role_max());
        self.0.uses.note(Used::User(user.user_id), &org, now());
        Ok(caller(user.user_id.to_string(), Some(user.user_id), role, org))
    }

    /// What to answer to credentials that came in a body and do not hold. Too many of them from one address are told so.
    pub fn refused(&self, parts: &Parts, problem: Problem) -> Problem {
        self.refuse(self.source_ip(parts), problem)
    }

    /// Counts credentials that do not hold. Good ones are let in however many bad ones came from the same address:
    /// behind one proxy are many.
    fn refuse(&self, source_ip: IpAddr, problem: Problem) -> Problem {
        match problem.reason.status() {
            401 if problem.reason != Reason::CredentialsMissing => {
                self.0.limits.failed_attempt(source_ip).err().unwrap_or(problem)
            }
            _ => problem,
        }
    }

    /// The nearest address that is not one of our own proxies.
    fn source_ip(&self, parts: &Parts) -> IpAddr {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |connection| connection.0.ip().to_canonical());
        let trusted = |address: &IpAddr| self.0.trusted_proxies.contains(address);
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

/// What a token is bound to; one without scopes is bound to nothing.
fn bound(scopes: Vec<Scope>) -> Option<Arc<[Scope]>> {
    (!scopes.is_empty()).then(|| Arc::from(scopes))
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
        let config = GateConfig {
            trusted_proxies: vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
            ..GateConfig::default()
        };
        Gate::new(Keyring::default(), None, &config).unwrap().source_ip(&parts(peer, forwarded)).to_string()
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
    fn who_guesses_in_bodies_is_counted() {
        let config = GateConfig { limits: vec!["auth.per_minute=2".to_owned()], ..GateConfig::default() };
        let gate = Gate::new(Keyring::default(), None, &config).unwrap();
        let guess = |peer: &str, reason| gate.refused(&parts(peer, &[]), Problem::new(reason, "no")).reason;
        assert_eq!(guess("192.0.2.1", Reason::BodyInvalid), Reason::BodyInvalid);
        let answers = [0; 3].map(|_| guess("192.0.2.1", Reason::SetupKeyUnknown));
        assert_eq!(answers, [Reason::SetupKeyUnknown, Reason::SetupKeyUnknown, Reason::TooManyFailedAttempts]);
        assert_eq!(guess("192.0.2.2", Reason::SetupKeyUnknown), Reason::SetupKeyUnknown);
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
