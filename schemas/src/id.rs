//! Typed identifiers: a kind prefix and a ULID in lower-case Crockford base32, e.g. `rule_01jcz…`.
//!
//! An id is a valid NATS subject token, KV key token and URL segment as it stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
pub use ulid::Ulid;

/// The text is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like {prefix}_01jcz3k9mv5x8q2w4e6r7t9y0a, got {given:?}")]
pub struct BadId {
    pub prefix: &'static str,
    pub given: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            pub const PREFIX: &str = $prefix;

            pub const fn new(ulid: Ulid) -> Self {
                Self(ulid)
            }

            pub const fn ulid(self) -> Ulid {
                self.0
            }
        }

        impl From<Ulid> for $name {
            fn from(ulid: Ulid) -> Self {
                Self(ulid)
            }
        }

        /// The nil id, which names nothing.
        impl Default for $name {
            fn default() -> Self {
                Self(Ulid::nil())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_id(f, $prefix, self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(given: &str) -> Result<Self, BadId> {
                parse_id($prefix, given).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                text_schema(concat!("^", $prefix, "_[0-9a-hjkmnp-tv-z]{26}$"))
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}

ids! {
    /// Names a firewall rule.
    RuleId = "rule";
    /// Names a zone.
    ZoneId = "zone";
    /// Names the default of a pair of zones.
    ZonePolicyId = "zpol";
    /// Names a set of addresses.
    AddressId = "addr";
    /// Names a set of protocols and ports.
    ServiceId = "svc";
    /// Names an address list.
    AddressListId = "list";
    /// Names a rule set.
    FirewallId = "fw";
    /// Names an address translation.
    NatRuleId = "nat";
    /// Names a static route.
    RouteId = "route";
    /// Names a group of name servers.
    NameserverGroupId = "nsg";
    /// Names a DNS record.
    DnsRecordId = "dnsr";
    /// Names a list of domains to block or to allow.
    DnsListId = "dnsl";
    /// Names a group of devices.
    GroupId = "grp";
    /// Names a policy from group to group.
    PolicyId = "pol";
    /// Names a config template.
    ConfigTemplateId = "tmpl";
    /// Names a setup key.
    SetupKeyId = "skey";
    /// Names a device (a managed firewall).
    DeviceId = "dev";
    /// Names an API token.
    ApiTokenId = "tok";
    /// Names a user.
    UserId = "usr";
    /// Names an event.
    EventId = "evt";
    /// Names a commit: the events that were appended together.
    CommitId = "cmt";
    /// Names one HTTP request in answers and logs.
    OperationId = "op";
}

/// Names an org: 1 to 63 of `a-z 0-9 -`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OrgId(String);

/// The text is not an org name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an org is named with 1 to 63 of a-z, 0-9 and -, beginning with a letter or a digit, got {0:?}")]
pub struct BadOrgId(String);

impl OrgId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OrgId {
    type Err = BadOrgId;

    fn from_str(given: &str) -> Result<Self, BadOrgId> {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=63).contains(&given.len())
            && given.bytes().all(|byte| letters(byte) || byte == b'-')
            && given.bytes().next().is_some_and(letters);
        if fits { Ok(Self(given.to_owned())) } else { Err(BadOrgId(given.to_owned())) }
    }
}

impl<'de> Deserialize<'de> for OrgId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for OrgId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        text_schema("^[a-z0-9][a-z0-9-]{0,62}$")
    }
}

impl utoipa::ToSchema for OrgId {}

/// The OpenAPI schema of a string that matches `pattern`.
pub(crate) fn text_schema(pattern: &str) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
}

const ULID_CHARS: usize = 26;

fn write_id(f: &mut fmt::Formatter<'_>, prefix: &str, ulid: Ulid) -> fmt::Result {
    let mut buffer = [0u8; ULID_CHARS];
    let text = ulid.array_to_str(&mut buffer);
    text.make_ascii_lowercase();
    write!(f, "{prefix}_{text}")
}

fn parse_id(prefix: &'static str, given: &str) -> Result<Ulid, BadId> {
    let bad = || BadId { prefix, given: given.chars().take(80).collect() };
    let rest = given.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(bad)?;
    let canonical = rest.len() == ULID_CHARS && rest.bytes().all(|byte| !byte.is_ascii_uppercase());
    if !canonical {
        return Err(bad());
    }
    Ulid::from_string(rest).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_writes() {
        let id = RuleId::new(Ulid::from_parts(1_700_000_000_000, 42));
        let text = id.to_string();
        assert!(text.starts_with("rule_01"), "{text}");
        assert_eq!(text.parse::<RuleId>(), Ok(id));
    }

    #[test]
    fn an_id_of_another_kind_or_case_is_refused() {
        let id = RuleId::new(Ulid::from_parts(1, 1)).to_string();
        assert!(id.parse::<ZoneId>().is_err());
        assert!(id.to_uppercase().parse::<RuleId>().is_err());
        assert!("rule_".parse::<RuleId>().is_err());
        assert!("rule_é1jcz3k9mv5x8q2w4e6r7t9y0".parse::<RuleId>().is_err());
    }

    #[test]
    fn an_org_name_cannot_carry_subject_characters() {
        for bad in ["", "a.b", "a*", ">", "A", "-a", "a b", &"a".repeat(64)] {
            assert!(bad.parse::<OrgId>().is_err(), "{bad:?}");
        }
        assert!("acme-7".parse::<OrgId>().is_ok());
    }
}
