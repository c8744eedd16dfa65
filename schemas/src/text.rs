//! Bounded text: names, descriptions and free metadata, checked where they enter.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// A display name: 1 to 100 characters, no control characters, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// A free description: up to 1,000 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Description(String);

/// Free keys and values of the user's own, at most 4 KiB as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

/// A short label to sort and to filter by: 1 to 50 of `a-z A-Z 0-9` and `. _ : / = -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

pub const NAME_CHARS_MAX: usize = 100;
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
pub const METADATA_BYTES_MAX: usize = 4_096;
pub const TAG_CHARS_MAX: usize = 50;

/// The text does not fit its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    #[error("a name has 1 to {NAME_CHARS_MAX} characters, no control characters and no space at either end")]
    Name,
    #[error(
        "a description has at most {DESCRIPTION_CHARS_MAX} characters and no control characters but line breaks and tabs"
    )]
    Description,
    #[error("a tag has 1 to {TAG_CHARS_MAX} of a-z, A-Z, 0-9 and . _ : / = -")]
    Tag,
    #[error("metadata has at most {METADATA_BYTES_MAX} bytes")]
    Metadata,
}

impl Name {
    pub fn new(text: impl Into<String>) -> Result<Self, BadText> {
        let text = text.into();
        let fits = (1..=NAME_CHARS_MAX).contains(&text.chars().count())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(BadText::Name) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Description {
    pub fn new(text: impl Into<String>) -> Result<Self, BadText> {
        let text = text.into();
        let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        let fits = text.chars().count() <= DESCRIPTION_CHARS_MAX && !text.chars().any(bad);
        if fits { Ok(Self(text)) } else { Err(BadText::Description) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Tag {
    pub fn new(text: impl Into<String>) -> Result<Self, BadText> {
        let text = text.into();
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'=' | b'-');
        let fits = (1..=TAG_CHARS_MAX).contains(&text.len()) && text.bytes().all(letter);
        if fits { Ok(Self(text)) } else { Err(BadText::Tag) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a switch is that is on unless somebody turns it off.
pub(crate) fn yes() -> bool {
    true
}

impl Metadata {
    pub fn new(entries: BTreeMap<String, String>) -> Result<Self, BadText> {
        let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len() + 6).sum();
        if bytes <= METADATA_BYTES_MAX { Ok(Self(entries)) } else { Err(BadText::Metadata) }
    }

    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// Makes a type with `Display` and `FromStr` a JSON string, described by a pattern.
macro_rules! as_text {
    ($name:ident, $schema:literal, $pattern:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                crate::id::text_schema($pattern)
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }
        }
    };
}

pub(crate) use as_text;

macro_rules! checked {
    ($name:ident, $inner:ty) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(<$inner>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

checked!(Name, String);
checked!(Description, String);
checked!(Metadata, BTreeMap<String, String>);
checked!(Tag, String);

impl utoipa::PartialSchema for Tag {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::id::text_schema("^[A-Za-z0-9._:/=-]{1,50}$")
    }
}

impl utoipa::ToSchema for Tag {}

impl utoipa::PartialSchema for Name {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        bounded_schema(Some(1), NAME_CHARS_MAX)
    }
}

impl utoipa::ToSchema for Name {}

impl utoipa::PartialSchema for Description {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        bounded_schema(None, DESCRIPTION_CHARS_MAX)
    }
}

impl utoipa::ToSchema for Description {}

impl utoipa::PartialSchema for Metadata {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        BTreeMap::<String, String>::schema()
    }
}

impl utoipa::ToSchema for Metadata {}

fn bounded_schema(min: Option<usize>, max: usize) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    ObjectBuilder::new().schema_type(Type::String).min_length(min).max_length(Some(max)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_printable() {
        for bad in ["", " a", "a ", "a\nb", "a\u{0}", &"é".repeat(101)] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new("Block Telnet").is_ok());
        assert!(Name::new("é".repeat(100)).is_ok());
    }

    #[test]
    fn metadata_stops_at_four_kibibytes() {
        let entries = |bytes| BTreeMap::from([("k".to_owned(), "v".repeat(bytes))]);
        assert!(Metadata::new(entries(4_000)).is_ok());
        assert!(Metadata::new(entries(4_096)).is_err());
    }
}
