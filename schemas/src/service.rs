//! Services as rules match them: an IP protocol (IANA protocol numbers) and destination ports.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// The IP protocol that a rule matches. In JSON a name, or a number from 0 to 255.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Every protocol.
    #[default]
    All,
    /// One protocol by its IANA number.
    Number(u8),
}

/// The protocols that have a name here. GRE is 47, ESP 50, AH 51.
const NAMED: [(&str, u8); 8] =
    [("tcp", 6), ("udp", 17), ("icmp", 1), ("icmpv6", 58), ("sctp", 132), ("gre", 47), ("esp", 50), ("ah", 51)];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected all, tcp, udp, icmp, icmpv6, sctp, gre, esp, ah or a protocol number from 0 to 255, got {0:?}")]
pub struct BadProtocol(String);

impl Protocol {
    pub const TCP: Self = Self::Number(6);
    pub const UDP: Self = Self::Number(17);
    pub const ICMP: Self = Self::Number(1);
    pub const ICMPV6: Self = Self::Number(58);
    pub const SCTP: Self = Self::Number(132);

    pub fn matches(self, number: u8) -> bool {
        match self {
            Self::All => true,
            Self::Number(mine) => mine == number,
        }
    }

    /// Whether packets of this protocol carry ports: TCP, UDP and SCTP.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP)
    }
}

/// The name of an IP protocol number, where it has one here.
pub fn protocol_name(number: u8) -> Option<&'static str> {
    NAMED.iter().find(|(_, named)| *named == number).map(|(name, _)| *name)
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Number(number) => match protocol_name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "{number}"),
            },
        }
    }
}

impl FromStr for Protocol {
    type Err = BadProtocol;

    fn from_str(given: &str) -> Result<Self, BadProtocol> {
        let lower = given.to_ascii_lowercase();
        if matches!(lower.as_str(), "all" | "any") {
            return Ok(Self::All);
        }
        let named = NAMED.iter().find(|(name, _)| *name == lower).map(|(_, number)| *number);
        let number = named.or_else(|| lower.parse().ok().filter(|_| !lower.starts_with('+')));
        number.map(Self::Number).ok_or_else(|| BadProtocol(given.chars().take(40).collect()))
    }
}

impl Serialize for Protocol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = TextOrNumber::deserialize(deserializer)?.text();
        given.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Protocol {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::id::text_schema("^(all|tcp|udp|icmp|icmpv6|sctp|gre|esp|ah|[0-9]{1,3})$")
    }
}

impl utoipa::ToSchema for Protocol {}

/// An inclusive range of destination ports. In JSON a string: `23` or `8000-8099`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a port from 1 to 65535 or a range like 8000-8099, got {0:?}")]
pub struct BadPortRange(String);

impl PortRange {
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first >= 1 && first <= last).then_some(Self { first, last })
    }

    pub fn first(&self) -> u16 {
        self.first
    }

    pub fn last(&self) -> u16 {
        self.last
    }

    pub fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl FromStr for PortRange {
    type Err = BadPortRange;

    fn from_str(given: &str) -> Result<Self, BadPortRange> {
        let port = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let range = match given.split_once(['-', ':']) {
            Some((first, last)) => {
                port(first.trim()).zip(port(last.trim())).and_then(|(first, last)| Self::new(first, last))
            }
            None => port(given).and_then(|port| Self::new(port, port)),
        };
        range.ok_or_else(|| BadPortRange(given.chars().take(40).collect()))
    }
}

impl Serialize for PortRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = TextOrNumber::deserialize(deserializer)?.text();
        given.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for PortRange {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::id::text_schema("^[0-9]{1,5}(-[0-9]{1,5})?$")
    }
}

impl utoipa::ToSchema for PortRange {}

/// Callers write ports and protocol numbers with or without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

impl TextOrNumber {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// Reads a list, one value alone, or one string of values with commas between them.
///
/// The last two are how single-rule APIs of the field write sources and ports: `"port": "80,443"`.
pub(crate) fn one_or_many<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(TextOrNumber),
        Many(Vec<TextOrNumber>),
    }

    let Some(given) = Option::<OneOrMany>::deserialize(deserializer)? else { return Ok(None) };
    let texts: Vec<String> = match given {
        OneOrMany::One(one) => one.text().split(',').map(|part| part.trim().to_owned()).collect(),
        OneOrMany::Many(many) => many.into_iter().map(TextOrNumber::text).collect(),
    };
    let parsed: Result<Vec<T>, T::Err> = texts.iter().map(|text| text.parse()).collect();
    parsed.map(Some).map_err(serde::de::Error::custom)
}

/// Reads a list as [`one_or_many`] does; absent and `null` are an empty one.
pub(crate) fn many<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    one_or_many(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_read_names_and_numbers() {
        let read = |json: &str| serde_json::from_str::<Protocol>(json).ok();
        assert_eq!(read("\"tcp\""), Some(Protocol::TCP));
        assert_eq!(read("\"TCP\""), Some(Protocol::TCP));
        assert_eq!(read("\"6\""), Some(Protocol::TCP));
        assert_eq!(read("6"), Some(Protocol::TCP));
        assert_eq!(read("\"all\""), Some(Protocol::All));
        assert_eq!(read("\"quic\""), None);
        assert_eq!(read("256"), None);
        assert_eq!(Protocol::Number(89).to_string(), "89");
    }

    #[test]
    fn ports_are_bounded_and_ordered() {
        let read = |text: &str| text.parse::<PortRange>().ok().map(|range| range.to_string());
        assert_eq!(read("23").as_deref(), Some("23"));
        assert_eq!(read("8000-8099").as_deref(), Some("8000-8099"));
        for bad in ["0", "65536", "9-1", "", "-", "+1", "a"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
