//! Plans: how much an org may ask of the API.

use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// How much an org may ask of the API. Whoever runs the installation can give each plan other figures.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    Free,
    Team,
    Enterprise,
    /// What an org has on a machine of its own: only as many limits as protect the machine.
    #[default]
    Unmetered,
}

impl Plan {
    pub const ALL: [Self; 4] = [Self::Free, Self::Team, Self::Enterprise, Self::Unmetered];

    /// The plan's word in JSON and in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Team => "team",
            Self::Enterprise => "enterprise",
            Self::Unmetered => "unmetered",
        }
    }

    /// Requests in any minute, but for those that read traffic.
    pub fn requests_per_minute(self) -> u32 {
        match self {
            Self::Free => 60,
            Self::Team => 300,
            Self::Enterprise => 1_000,
            Self::Unmetered => PROTECTIVE,
        }
    }

    /// Requests in a day of UTC, but for those that read traffic; `None` is no limit.
    pub fn requests_per_day(self) -> Option<u32> {
        match self {
            Self::Free => Some(1_000),
            Self::Team => Some(10_000),
            Self::Enterprise | Self::Unmetered => None,
        }
    }

    /// Requests that read traffic, in any minute.
    pub fn traffic_per_minute(self) -> u32 {
        match self {
            Self::Free | Self::Team | Self::Enterprise => 60,
            Self::Unmetered => PROTECTIVE,
        }
    }

    /// Resources of a kind that an org may have.
    pub fn resources_max(self, kind: Kind) -> usize {
        let (small, devices, rules) = match self {
            Self::Free => (100, 10, 1_000),
            Self::Team => (1_000, 500, 10_000),
            Self::Enterprise => (10_000, 50_000, 100_000),
            Self::Unmetered => (20_000, 50_000, 100_000),
        };
        match kind {
            Kind::Device => devices,
            Kind::Rule => rules,
            Kind::Org => 1,
            Kind::User
            | Kind::ApiToken
            | Kind::Zone
            | Kind::ZonePolicy
            | Kind::Address
            | Kind::Service
            | Kind::AddressList
            | Kind::Firewall
            | Kind::NatRule
            | Kind::Route
            | Kind::NameserverGroup
            | Kind::DnsRecord
            | Kind::DnsList
            | Kind::Group
            | Kind::Policy
            | Kind::SetupKey
            | Kind::ConfigTemplate => small,
            // Facts, not resources: kept as long as the retention says.
            Kind::Event | Kind::Flow => usize::MAX,
        }
    }

    /// Streams that may be open at one time.
    pub fn streams_max(self) -> u32 {
        match self {
            Self::Free | Self::Team | Self::Enterprise => 5,
            Self::Unmetered => 1_000,
        }
    }
}

/// More than one machine answers in a minute.
const PROTECTIVE: u32 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_written_with_its_word() {
        for plan in Plan::ALL {
            assert_eq!(serde_json::to_value(plan).ok(), Some(plan.word().into()));
        }
    }

    #[test]
    fn a_higher_plan_never_has_less() {
        for pair in Plan::ALL.windows(2) {
            let [lower, higher] = [pair[0], pair[1]];
            assert!(lower.requests_per_minute() <= higher.requests_per_minute());
            assert!(lower.traffic_per_minute() <= higher.traffic_per_minute());
            assert!(lower.streams_max() <= higher.streams_max());
            let daily = |plan: Plan| plan.requests_per_day().unwrap_or(u32::MAX);
            assert!(daily(lower) <= daily(higher));
        }
    }
}
