//! Resources: what all kinds have in common, and the one list of them.
//!
//! A new kind is a file with a [`resource!`](crate::resource) and a line in
//! [`for_each_resource!`](crate::for_each_resource); reading, writing, storing and auditing it follow from these.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{BadId, Ulid};
use crate::kind::Kind;
use crate::zone::ZoneName;

/// Something that an org has: read and written whole, one event for each change.
pub trait Resource:
    Related + Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + utoipa::ToSchema + Send + Sync + 'static
{
    const KIND: Kind;
    type Id: Copy
        + Ord
        + std::hash::Hash
        + fmt::Debug
        + fmt::Display
        + FromStr<Err = BadId>
        + Serialize
        + DeserializeOwned
        + utoipa::ToSchema
        + From<Ulid>
        + Into<ResourceId>
        + TryFrom<ResourceId>
        + Send
        + Sync
        + 'static;
    /// What a caller writes: to create one, and to replace one.
    type New: Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + utoipa::ToSchema + Send + Sync + 'static;

    fn id(&self) -> Self::Id;

    /// The org revision of its last change; also its ETag.
    fn revision(&self) -> u64;

    /// A new one; what callers do not write has its default.
    fn create(id: Self::Id, new: Self::New, stamp: Stamp) -> Self;

    /// This one with all that a caller may write replaced.
    fn replace(&self, new: Self::New, stamp: Stamp) -> Self;

    /// What a caller could have written to get this one.
    fn written(&self) -> Self::New;

    /// Other names that its fields have in what callers write: the other name, then the field.
    fn aliases() -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// How a resource is told from others of its kind, and what it refers to.
pub trait Related {
    /// The name that no other of its kind has in the org; `None` where names are free.
    fn unique_name(&self) -> Option<Cow<'_, str>>;

    /// Calls `note` with the field and the target of each reference.
    fn references(&self, note: &mut dyn FnMut(&'static str, Reference));

    /// Under what others refer to it, if not under its id.
    fn alias(&self) -> Option<Reference> {
        None
    }
}

/// When and as what a change happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub revision: u64,
    pub at: DateTime<Utc>,
}

/// What one resource calls another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    Resource(ResourceId),
    /// Zones are called by their names.
    Zone(ZoneName),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(id) => id.fmt(f),
            Self::Zone(name) => name.fmt(f),
        }
    }
}

impl<I: Into<ResourceId>> From<I> for Reference {
    fn from(id: I) -> Self {
        Self::Resource(id.into())
    }
}

/// Declares a resource: the struct that is stored and shown, and the one that callers write.
///
/// The first block are fields of both. `given` are only written, such as `expires_in`; `kept` are set by Netkeep alone
/// and begin with their default.
#[macro_export]
macro_rules! resource {
    (
        $(#[$meta:meta])*
        $name:ident($id:ident) from $new:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
        $(given { $($(#[$given_meta:meta])* $given:ident: $given_type:ty,)* })?
        $(kept { $($(#[$kept_meta:meta])* $kept:ident: $kept_type:ty,)* })?
        $(aliases { $($alias:literal => $target:literal,)* })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub struct $name {
            pub id: $crate::id::$id,
            /// The org revision of its last change; also its ETag.
            pub revision: u64,
            $($(#[$field_meta])* pub $field: $type,)*
            $($($(#[$kept_meta])* pub $kept: $kept_type,)*)?
            pub created_at: chrono::DateTime<chrono::Utc>,
            pub updated_at: chrono::DateTime<chrono::Utc>,
        }

        #[doc = concat!("What a caller writes to create or to replace: see [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $new {
            $($(#[$field_meta])* pub $field: $type,)*
            $($($(#[$given_meta])* pub $given: $given_type,)*)?
        }

        impl $crate::resource::Resource for $name {
            const KIND: $crate::kind::Kind = $crate::kind::Kind::$name;
            type Id = $crate::id::$id;
            type New = $new;

            fn id(&self) -> Self::Id {
                self.id
            }

            fn revision(&self) -> u64 {
                self.revision
            }

            fn create(id: Self::Id, new: $new, stamp: $crate::resource::Stamp) -> Self {
                Self {
                    id,
                    revision: stamp.revision,
                    $($field: new.$field,)*
                    $($($kept: Default::default(),)*)?
                    created_at: stamp.at,
                    updated_at: stamp.at,
                }
            }

            fn replace(&self, new: $new, stamp: $crate::resource::Stamp) -> Self {
                Self {
                    id: self.id,
                    revision: stamp.revision,
                    $($field: new.$field,)*
                    $($($kept: self.$kept.clone(),)*)?
                    created_at: self.created_at,
                    updated_at: stamp.at,
                }
            }

            fn written(&self) -> $new {
                $new {
                    $($field: self.$field.clone(),)*
                    $($($given: Default::default(),)*)?
                }
            }

            $(fn aliases() -> &'static [(&'static str, &'static str)] {
                &[$(($alias, $target),)*]
            })?
        }
    };
}

/// Calls a macro with the list of all resources: type, table, id, what callers write.
#[macro_export]
macro_rules! for_each_resource {
    ($macro:ident) => {
        $macro! {
            User users UserId NewUser user,
            ApiToken api_tokens ApiTokenId NewApiToken api_token,
            Zone zones ZoneId NewZone zone,
            ZonePolicy zone_policies ZonePolicyId NewZonePolicy zone_policy,
            Address addresses AddressId NewAddress address_object,
            Service services ServiceId NewService service_object,
            AddressList address_lists AddressListId NewAddressList address_list,
            Firewall firewalls FirewallId NewFirewall firewall,
            Rule rules RuleId NewRule rule,
            NatRule nat_rules NatRuleId NewNatRule nat_rule,
            Route routes RouteId NewRoute route,
            NameserverGroup nameserver_groups NameserverGroupId NewNameserverGroup nameserver_group,
            DnsRecord dns_records DnsRecordId NewDnsRecord dns_record,
            DnsList dns_lists DnsListId NewDnsList dns_list,
            Group groups GroupId NewGroup group,
            Policy policies PolicyId NewPolicy policy,
            SetupKey setup_keys SetupKeyId NewSetupKey setup_key,
            Device devices DeviceId DeviceSettings device,
            ConfigTemplate config_templates ConfigTemplateId NewConfigTemplate config_template,
        }
    };
}

macro_rules! closed_set {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        /// A resource of any kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyResource {
            $($name(Arc<crate::$module::$name>),)*
        }

        /// What a caller writes of a resource of any kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyNew {
            $($name(crate::$module::$new),)*
        }

        /// The id of a resource of any kind. Its prefix says of which.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ResourceId {
            $($name(crate::id::$id),)*
        }

        impl AnyResource {
            pub fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$name,)* }
            }

            pub fn id(&self) -> ResourceId {
                match self { $(Self::$name(it) => ResourceId::$name(it.id),)* }
            }

            pub fn revision(&self) -> u64 {
                match self { $(Self::$name(it) => it.revision,)* }
            }

            /// Says when and as what it changed.
            pub fn stamp(&mut self, stamp: Stamp) {
                match self {
                    $(Self::$name(it) => {
                        let it = Arc::make_mut(it);
                        it.revision = stamp.revision;
                        it.updated_at = stamp.at;
                    })*
                }
            }

            /// Reads the stored form of a resource.
            pub fn parse(kind: Kind, json: &[u8]) -> Result<Self, serde_json::Error> {
                match kind {
                    $(Kind::$name => serde_json::from_slice(json).map(Arc::new).map(Self::$name),)*
                    Kind::Org | Kind::Event | Kind::Flow => {
                        Err(serde::de::Error::custom(format_args!("{kind} is not a resource of an org")))
                    }
                }
            }

            pub(crate) fn each_reference(&self, note: &mut dyn FnMut(&'static str, Reference)) {
                match self { $(Self::$name(it) => it.references(note),)* }
            }
        }

        impl Serialize for AnyResource {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$name(it) => it.serialize(serializer),)* }
            }
        }

        impl AnyNew {
            /// Reads what a caller writes, with `read` doing the reading.
            pub fn parse<R: ReadNew>(kind: Kind, read: R) -> Result<Self, R::Error> {
                match kind {
                    $(Kind::$name => read.read::<crate::$module::$new>().map(Self::$name),)*
                    Kind::Org | Kind::Event | Kind::Flow => Err(read.unwritable(kind)),
                }
            }

            pub fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$name,)* }
            }
        }

        impl ResourceId {
            pub fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$name,)* }
            }
        }

        impl fmt::Display for ResourceId {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$name(id) => id.fmt(f),)* }
            }
        }

        impl FromStr for ResourceId {
            type Err = BadId;

            fn from_str(given: &str) -> Result<Self, BadId> {
                let prefix = given.split('_').next().unwrap_or_default();
                $(if prefix == crate::id::$id::PREFIX {
                    return given.parse().map(Self::$name);
                })*
                Err(BadId { prefix: "rule", given: given.chars().take(80).collect() })
            }
        }

        $(
            impl From<crate::id::$id> for ResourceId {
                fn from(id: crate::id::$id) -> Self {
                    Self::$name(id)
                }
            }

            impl TryFrom<ResourceId> for crate::id::$id {
                type Error = ResourceId;

                fn try_from(id: ResourceId) -> Result<Self, ResourceId> {
                    if let ResourceId::$name(id) = id { Ok(id) } else { Err(id) }
                }
            }

            impl From<Arc<crate::$module::$name>> for AnyResource {
                fn from(resource: Arc<crate::$module::$name>) -> Self {
                    Self::$name(resource)
                }
            }

            impl From<crate::$module::$name> for AnyResource {
                fn from(resource: crate::$module::$name) -> Self {
                    Self::$name(Arc::new(resource))
                }
            }

            impl From<crate::$module::$new> for AnyNew {
                fn from(new: crate::$module::$new) -> Self {
                    Self::$name(new)
                }
            }
        )*
    };
}

for_each_resource!(closed_set);

/// Reads what a caller writes, whatever its kind.
pub trait ReadNew {
    type Error;

    fn read<T: DeserializeOwned>(self) -> Result<T, Self::Error>;

    /// Says that nobody writes resources of this kind.
    fn unwritable(self, kind: Kind) -> Self::Error;
}

impl Serialize for ResourceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for ResourceId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::id::text_schema("^[a-z]+_[0-9a-hjkmnp-tv-z]{26}$")
    }
}

impl utoipa::ToSchema for ResourceId {}
