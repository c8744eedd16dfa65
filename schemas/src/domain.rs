//! Domain names as rules and DNS settings carry them (RFC 1035, RFC 1123), in lower case, without the root's dot.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A domain name, or `*.` and one: everything below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Domain(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a domain like www.example.com or *.example.com, got {0:?}")]
pub struct BadDomain(String);

impl Domain {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = BadDomain;

    fn from_str(given: &str) -> Result<Self, BadDomain> {
        let lower = given.strip_suffix('.').unwrap_or(given).to_ascii_lowercase();
        let plain = lower.strip_prefix("*.").unwrap_or(&lower);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // What looks like an address is none: 10.0.0.300 is a mistake, not a domain.
        let numeric = plain.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let fits = lower.len() <= 253 && plain.split('.').all(label) && !numeric;
        if fits { Ok(Self(lower)) } else { Err(BadDomain(given.chars().take(80).collect())) }
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Domain {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::id::text_schema(r"^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,250}[A-Za-z0-9_])?\.?$")
    }
}

impl utoipa::ToSchema for Domain {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_canonical_text() {
        let read = |text: &str| text.parse::<Domain>().ok().map(|domain| domain.to_string());
        assert_eq!(read("WWW.Example.COM.").as_deref(), Some("www.example.com"));
        assert_eq!(read("*.example.com").as_deref(), Some("*.example.com"));
        assert_eq!(read("localhost").as_deref(), Some("localhost"));
        for bad in ["", ".", "*", "a..b", "-a.com", "a b", "10.0.0.300", "*.*.a", &"a".repeat(64), "10.0.0.1"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
