//! JWTs: who verifies them, with which keys, and what they must say.

mod claims;
mod config;
mod discovery;
mod keys;
mod source;

use std::sync::Arc;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header, get_current_timestamp};
use schemas::access::Role;
use schemas::id::OrgId;
use schemas::reason::Reason;

use crate::problem::Problem;
use claims::Claims;
use keys::Lookup;
use source::Jwks;

pub use config::{ConfigError, JwtConfig};
pub use source::JwksSource;

const TOKEN_BYTES_MAX: usize = 16 * 1024;
const SUBJECT_CHARS_MAX: usize = 255;

/// Signatures that anyone can check and only the issuer can make. What is not here is refused, whatever the key says.
const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Verifies the JWTs of one issuer.
#[derive(Debug, Clone)]
pub struct JwtVerifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuer: String,
    audiences: Vec<String>,
    authorized_parties: Vec<String>,
    role_max: Role,
    role_claim: String,
    /// How far the issuer's clock may be from ours.
    leeway_s: u64,
    jwks: Jwks,
}

/// What a verified JWT says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) org: OrgId,
    pub(crate) subject: String,
    pub(crate) role: Role,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
}

impl JwtVerifier {
    pub(crate) fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The most powerful role that a JWT can give.
    pub(crate) fn role_max(&self) -> Role {
        self.0.role_max
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Verified, Problem> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid(format!("the JWT has more than {TOKEN_BYTES_MAX} bytes")));
        }
        let header = decode_header(token).map_err(|error| refuse(&error))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(invalid(format!("the JWT is signed with {:?}, which is not accepted", header.alg)));
        }
        if header.crit.is_some() {
            return Err(invalid("the JWT demands extensions (crit) that are not known"));
        }
        let key = match self.0.jwks.find(header.kid.as_deref(), header.alg).await? {
            Lookup::Found(key) => key,
            Lookup::OtherAlgorithm(algorithm) => {
                return Err(invalid(format!(
                    "the JWT is signed with {:?}, but its key is for {algorithm:?}",
                    header.alg
                )));
            }
            Lookup::Unknown => return Err(invalid("the JWT is signed with a key that its issuer does not publish")),
        };
        let claims = decode::<Claims>(token, &key, &self.validation(header.alg)).map_err(|error| refuse(&error))?;
        self.check(claims.claims)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.0.leeway_s;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.0.issuer]);
        let mut required = vec!["exp", "iss", "sub"];
        if !self.0.audiences.is_empty() {
            validation.set_audience(&self.0.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn check(&self, claims: Claims) -> Result<Verified, Problem> {
        let subject_fits =
            (1..=SUBJECT_CHARS_MAX).contains(&claims.sub.chars().count()) && !claims.sub.chars().any(char::is_control);
        if !subject_fits {
            return Err(invalid(format!("sub has 1 to {SUBJECT_CHARS_MAX} characters and no control characters")));
        }
        if let Some(issued) = claims.iat {
            // A second is exact in a float for the next 285 million years.
            let latest = get_current_timestamp().saturating_add(self.0.leeway_s) as f64;
            if !(0.0..=latest).contains(&issued) || issued > claims.exp {
                return Err(invalid("the JWT was issued in the future or after its own end (iat)"));
            }
        }
        let parties = &self.0.authorized_parties;
        if !parties.is_empty() && !claims.azp.as_ref().is_some_and(|azp| parties.contains(azp)) {
            return Err(invalid("the JWT was made for another application (azp)"));
        }
        let role = claims::role(&claims.others, &self.0.role_claim).map_err(invalid)?;
        let role = role.unwrap_or(Role::Viewer).min(self.0.role_max);
        // An address that the issuer says it did not check may be anybody's.
        let email = claims::text(&claims.others, "email").filter(|_| claims::is_email_checked(&claims.others));
        let name = claims::text(&claims.others, "name");
        Ok(Verified { org: claims.org_id, subject: claims.sub, role, email, name })
    }
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(Reason::JwtInvalid, message)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the error kinds of jsonwebtoken are not exhaustive")]
fn refuse(error: &Error) -> Problem {
    match error.kind() {
        ErrorKind::ExpiredSignature => Problem::new(Reason::TokenExpired, "the JWT has expired"),
        ErrorKind::InvalidSignature => invalid("the signature of the JWT does not verify"),
        ErrorKind::InvalidIssuer => invalid("the JWT is from another issuer (iss)"),
        ErrorKind::InvalidAudience => {
            invalid("the JWT is meant for another audience (aud), or no audience is configured (--jwt-audience)")
        }
        ErrorKind::ImmatureSignature => invalid("the JWT is not valid yet (nbf)"),
        ErrorKind::MissingRequiredClaim(claim) => invalid(format!("the JWT lacks the claim {claim}")),
        ErrorKind::Json(error) => invalid(format!("the JWT is not what is expected: {error}")),
        _ => invalid("the JWT is malformed"),
    }
}
