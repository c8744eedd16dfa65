//! Zones: names for the networks behind a device's interfaces.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata};

/// The name of a zone: a letter, then up to 31 of `A-Z a-z 0-9 _ -`.
///
/// A zone's name is its identity: rules and devices refer to it, and it does not change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ZoneName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a zone is named with a letter and up to 31 of A-Z, a-z, 0-9, _ and -, got {0:?}")]
pub struct BadZoneName(String);

/// The zones that every org begins with.
pub const PREDEFINED: [&str; 5] = ["WAN", "LAN", "DMZ", "GUEST", "IOT"];

/// The device itself: what is sent to or by it. Always there, never created.
pub const LOCAL: &str = "LOCAL";

impl ZoneName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the device itself.
    pub fn is_local(&self) -> bool {
        self.0 == LOCAL
    }

    /// The device itself.
    pub fn local() -> Self {
        Self(LOCAL.to_owned())
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ZoneName {
    type Err = BadZoneName;

    fn from_str(given: &str) -> Result<Self, BadZoneName> {
        let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = given.len() <= 32
            && given.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && given.bytes().all(rest);
        if fits { Ok(Self(given.to_owned())) } else { Err(BadZoneName(given.chars().take(80).collect())) }
    }
}

impl<'de> Deserialize<'de> for ZoneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for ZoneName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::id::text_schema("^[A-Za-z][A-Za-z0-9_-]{0,31}$")
    }
}

impl utoipa::ToSchema for ZoneName {}

crate::resource! {
    /// A zone of an org.
    Zone(ZoneId) from NewZone {
        name: ZoneName,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
    }
    kept {
        /// Whether every org begins with this zone; such a zone is not deleted.
        predefined: bool,
    }
}

impl Related for Zone {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, _: &mut dyn FnMut(&'static str, Reference)) {}

    fn alias(&self) -> Option<Reference> {
        Some(Reference::Zone(self.name.clone()))
    }
}
