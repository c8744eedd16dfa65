//! The configuration of the front door. What cannot be used is told together, before anything is bound.

use std::net::IpAddr;

use crate::cors::Cors;
use crate::limits::Figures;

/// How the front door knows where requests come from, and how many and which it takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct GateConfig {
    /// Addresses of reverse proxies whose X-Forwarded-For is believed
    #[arg(long, env = "NETKEEP_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpAddr>,
    /// Other limits than a plan has: `<plan>.<figure>=<number>` with the plans free, team, enterprise and unmetered and
    /// the figures per_minute, per_day (or none), traffic_per_minute and streams; and `auth.per_minute`, the requests
    /// with bad credentials that one address may send
    #[arg(long = "limit", env = "NETKEEP_LIMITS", value_name = "LIMIT", value_delimiter = ',')]
    pub limits: Vec<String>,
    /// Origins of web pages that may call the API, like https://console.example.com, or * for all; absent: none
    #[arg(long = "cors-origin", env = "NETKEEP_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
}

/// All that is wrong with the configuration of the front door.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigErrors(pub Vec<String>);

/// What a configuration says, ready for use.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) trusted_proxies: Vec<IpAddr>,
    pub(crate) figures: Figures,
    pub(crate) cors: Option<Cors>,
}

impl GateConfig {
    /// Reads all of it, and adds each thing that cannot be used to the errors.
    pub(crate) fn read(&self, errors: &mut Vec<String>) -> Settings {
        Settings {
            trusted_proxies: self.trusted_proxies.clone(),
            figures: Figures::read(&self.limits, errors),
            cors: Cors::read(&self.cors_origins, errors),
        }
    }
}
