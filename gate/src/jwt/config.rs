//! The configuration of JWTs. Without an issuer none is accepted; with one, every check is on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemas::access::Role;

use super::keys::KeySet;
use super::source::{Jwks, JwksSource};
use super::{Inner, JwtVerifier};

/// Which JWTs are accepted.
#[derive(Debug, Clone, clap::Args)]
pub struct JwtConfig {
    /// The issuer whose JWTs are accepted, exactly as their iss claim has it; absent: no JWT is accepted
    #[arg(long, env = "NETKEEP_JWT_ISSUER")]
    pub jwt_issuer: Option<String>,
    /// Where the issuer's keys are (a JWKS): a path or a URL; absent: where the issuer's own
    /// /.well-known/openid-configuration says
    #[arg(long, env = "NETKEEP_JWT_JWKS")]
    pub jwt_jwks: Option<String>,
    /// Audiences of which a JWT must name one in aud; absent: a JWT that names an audience is refused
    #[arg(long, env = "NETKEEP_JWT_AUDIENCE", value_delimiter = ',')]
    pub jwt_audience: Vec<String>,
    /// Applications of which a JWT must name one in azp; absent: azp is not looked at
    #[arg(long, alias = "jwt-azp", env = "NETKEEP_JWT_AUTHORIZED_PARTIES", value_delimiter = ',')]
    pub jwt_authorized_parties: Vec<String>,
    /// The claim with the role, or with a list of words among which roles are; dots lead into objects
    #[arg(long, env = "NETKEEP_JWT_ROLE_CLAIM", default_value = "role")]
    pub jwt_role_claim: String,
    /// The most powerful role that a JWT can give
    #[arg(long, env = "NETKEEP_JWT_ROLE_MAX", default_value = "admin", value_parser = role)]
    pub jwt_role_max: Role,
    /// Seconds by which the issuer's clock may differ from ours
    #[arg(long, env = "NETKEEP_JWT_LEEWAY_S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=300))]
    pub jwt_leeway_s: u64,
    /// Seconds after which the keys are fetched again
    #[arg(long, env = "NETKEEP_JWT_JWKS_TTL_S", default_value_t = 300)]
    pub jwt_jwks_ttl_s: u64,
    /// Seconds that lie between two fetches at least, however many unknown keys JWTs name
    #[arg(long, env = "NETKEEP_JWT_JWKS_INTERVAL_MIN_S", default_value_t = 10)]
    pub jwt_jwks_interval_min_s: u64,
}

/// The configuration of JWTs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("--jwt-issuer {0} is not a URL: say with --jwt-jwks where the keys are")]
    IssuerWithoutJwks(String),
    #[error("{0} needs --jwt-issuer: it is not known whose JWTs to accept")]
    WithoutIssuer(&'static str),
    #[error("--jwt-jwks {url} is not a URL: {error}")]
    Url { url: String, error: String },
    #[error("--jwt-jwks {} cannot be read: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("--jwt-jwks {} is not a JWKS with keys that can be used: {error}", path.display())]
    Keys { path: PathBuf, error: String },
    #[error("cannot prepare HTTP for --jwt-jwks: {0}")]
    Http(#[from] reqwest::Error),
}

impl JwtConfig {
    /// The verifier that this describes; `None` if no issuer is configured. Files are read once to see that they can be.
    pub fn verifier(&self) -> Result<Option<JwtVerifier>, ConfigError> {
        // A variable that is set to nothing, as compose files do, is as good as absent.
        let given = |value: &Option<String>| value.clone().filter(|text| !text.trim().is_empty());
        let list = |values: &[String]| values.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>();
        let (audiences, authorized_parties) = (list(&self.jwt_audience), list(&self.jwt_authorized_parties));
        let (issuer, source) = match (given(&self.jwt_issuer), given(&self.jwt_jwks)) {
            (Some(issuer), Some(jwks)) => (issuer, JwksSource::parse(&jwks)?),
            (Some(issuer), None) => {
                let source = JwksSource::discovered(&issuer)?;
                (issuer, source)
            }
            (None, Some(_)) => return Err(ConfigError::WithoutIssuer("--jwt-jwks")),
            (None, None) if !audiences.is_empty() => return Err(ConfigError::WithoutIssuer("--jwt-audience")),
            (None, None) if !authorized_parties.is_empty() => {
                return Err(ConfigError::WithoutIssuer("--jwt-authorized-parties"));
            }
            (None, None) => return Ok(None),
        };
        if let JwksSource::File(path) = &source {
            let text = std::fs::read(path).map_err(|error| ConfigError::File { path: path.clone(), error })?;
            KeySet::parse(&text).map_err(|error| ConfigError::Keys { path: path.clone(), error })?;
        }
        let ttl = Duration::from_secs(self.jwt_jwks_ttl_s);
        let interval_min = Duration::from_secs(self.jwt_jwks_interval_min_s);
        let jwks = Jwks::new(source, ttl, interval_min)?;
        Ok(Some(JwtVerifier(Arc::new(Inner {
            issuer,
            audiences,
            authorized_parties,
            role_max: self.jwt_role_max,
            role_claim: self.jwt_role_claim.clone(),
            leeway_s: self.jwt_leeway_s,
            jwks,
        }))))
    }
}

fn role(text: &str) -> Result<Role, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}
