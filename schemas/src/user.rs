//! Users: the people of an org, and the service users that programs act as. Personal data is sealed: see [`Sealed`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name};

/// What a user is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserKind {
    #[default]
    Human,
    /// Acts through API tokens only.
    Service,
}

/// Personal data under a key of its own: who deletes the key makes it unreadable everywhere, also in old events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sealed {
    /// Which key opens it.
    pub key_id: String,
    /// XChaCha20-Poly1305 over the JSON of the person, nonce first, in base64.
    pub text: String,
}

/// A mail address: up to 254 characters, one `@` with something on both sides, no space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

pub const EMAIL_CHARS_MAX: usize = 254;

/// The text is not a mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mail address is like ann@example.com and has at most {EMAIL_CHARS_MAX} characters")]
pub struct BadEmail;

impl Email {
    pub fn new(text: impl Into<String>) -> Result<Self, BadEmail> {
        let text = text.into();
        let bad = |c: char| c.is_control() || c.is_whitespace();
        let halves = text.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
        let fits = halves.is_some_and(|(_, host)| !host.contains('@')) && text.chars().count() <= EMAIL_CHARS_MAX;
        if fits && !text.chars().any(bad) { Ok(Self(text)) } else { Err(BadEmail) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Email {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let (kind, format) = (utoipa::openapi::schema::Type::String, "email".to_owned());
        let format = utoipa::openapi::schema::SchemaFormat::Custom(format);
        let builder = utoipa::openapi::ObjectBuilder::new().schema_type(kind).format(Some(format));
        builder.max_length(Some(EMAIL_CHARS_MAX)).into()
    }
}

impl utoipa::ToSchema for Email {}

/// Who a user is: what is sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
}

impl Person {
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.email.is_none()
    }
}

/// What a caller writes to create or to replace a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WrittenUser {
    #[serde(default)]
    pub name: Option<Name>,
    /// By which an invited user is found at the first sign-in; no other user of the org has it.
    #[serde(default)]
    pub email: Option<Email>,
    pub role: Role,
    /// A user keeps its kind.
    #[serde(default)]
    pub kind: UserKind,
    /// A blocked user's tokens and sign-ins are refused.
    #[serde(default, alias = "is_blocked")]
    pub blocked: bool,
    #[serde(default)]
    pub description: Description,
    #[serde(default)]
    pub metadata: Metadata,
}

/// Whether a user can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    Active,
    /// Has not signed in yet.
    Invited,
    Blocked,
}

/// What a person says of themselves at a sign-in, sealed and hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedInPerson {
    pub subject_hash: String,
    pub email_hash: Option<String>,
    pub person: Option<Sealed>,
    /// The role of one who was not there before.
    pub role: Role,
    pub first: FirstSignIn,
}

/// What happens when somebody signs in who never did before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FirstSignIn {
    /// They become a user, with the role that their JWT gives.
    #[default]
    Create,
    /// Who is invited becomes that user; others are refused.
    Invited,
    /// They are refused.
    Off,
}

impl std::str::FromStr for FirstSignIn {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "create" => Ok(Self::Create),
            "invited" => Ok(Self::Invited),
            "off" => Ok(Self::Off),
            _ => Err("create, invited or off"),
        }
    }
}

crate::resource! {
    /// A user of an org as it is stored. The API shows a [`UserView`](crate::view::UserView).
    User(UserId) from NewUser {
        #[serde(default)]
        kind: UserKind,
        role: Role,
        /// A blocked user's tokens and sign-ins are refused.
        #[serde(default)]
        blocked: bool,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        /// Name and mail address.
        #[serde(default)]
        person: Option<Sealed>,
        /// A keyed hash of the mail address, by which an invited user is found at the first sign-in.
        #[serde(default)]
        email_hash: Option<String>,
        /// A keyed hash of issuer and subject, once the user signed in.
        #[serde(default)]
        subject_hash: Option<String>,
    }
}

impl User {
    pub fn status(&self) -> UserStatus {
        if self.blocked {
            UserStatus::Blocked
        } else if self.kind == UserKind::Human && self.email_hash.is_some() && self.subject_hash.is_none() {
            UserStatus::Invited
        } else {
            UserStatus::Active
        }
    }
}

impl Related for User {
    /// No two users of an org have one mail address.
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        self.email_hash.as_deref().map(Cow::Borrowed)
    }

    fn references(&self, _: &mut dyn FnMut(&'static str, Reference)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_has_one_at_with_something_on_both_sides() {
        for good in ["ann@example.com", "a@b", "Ann.O'Neil+x@example.com", "用户@例え.jp"] {
            assert!(Email::new(good).is_ok(), "{good}");
        }
        for bad in ["", "ann", "@example.com", "ann@", "a@b@c", "a b@c", "a@b\n", &format!("a@{}", "b".repeat(253))] {
            assert!(Email::new(bad).is_err(), "{bad}");
        }
    }
}
