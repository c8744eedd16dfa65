//! Events: what happened to an org, as CloudEvents 1.0 in their JSON form.
//!
//! A created or updated event carries the whole resource after the change, so that one event is enough to project,
//! to audit and to restore. The stored form never changes but for fields that are added with a default: another shape is
//! another version of the type.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::address::Span;
use crate::address_list::{ListEntry, Remaining};
use crate::device::{Applied, ApplyFailure, Device};
use crate::id::{AddressListId, DeviceId, EventId, OrgId};
use crate::kind::Kind;
use crate::org::Org;
use crate::resource::{AnyResource, ResourceId};
use crate::rule::MovedRule;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `netkeep.<kind>.created.v1`.
    Created { resource: AnyResource, secret_hash: Option<SecretHash> },
    /// `netkeep.<kind>.updated.v1`.
    Updated { resource: AnyResource, changed: Vec<String> },
    /// `netkeep.<kind>.deleted.v1`, with what it opened.
    Deleted { id: ResourceId, secret_hash: Option<SecretHash>, public_key: Option<String> },
    /// `netkeep.org.created.v1`.
    OrgCreated { org: Org },
    /// `netkeep.org.updated.v1`.
    OrgUpdated { org: Org, changed: Vec<String> },
    /// `netkeep.rule.reordered.v1`: only the rules whose place changed.
    RulesReordered { moved: Vec<MovedRule> },
    /// `netkeep.address_list.entries_changed.v1`: the entries that went, then those that came.
    EntriesChanged { id: AddressListId, removed: Vec<Span>, added: Vec<ListEntry>, remaining: Remaining },
    /// `netkeep.device.enrolled.v1`.
    DeviceEnrolled { device: Arc<Device> },
    /// `netkeep.device.config_applied.v1`.
    DeviceConfigApplied { id: DeviceId, applied: Applied },
    /// `netkeep.device.config_failed.v1`.
    DeviceConfigFailed { id: DeviceId, failure: ApplyFailure },
}

/// The SHA-256 of a secret, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(pub String);

impl SecretHash {
    pub fn of(secret: &str) -> Self {
        Self(crate::digest::sha256_hex(secret.as_bytes()))
    }
}

impl Event {
    /// The kind of resource that this event is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Created { resource, .. } | Self::Updated { resource, .. } => resource.kind(),
            Self::Deleted { id, .. } => id.kind(),
            Self::OrgCreated { .. } | Self::OrgUpdated { .. } => Kind::Org,
            Self::RulesReordered { .. } => Kind::Rule,
            Self::EntriesChanged { .. } => Kind::AddressList,
            Self::DeviceEnrolled { .. } | Self::DeviceConfigApplied { .. } | Self::DeviceConfigFailed { .. } => {
                Kind::Device
            }
        }
    }

    /// What happened to it, in the past tense: `created` in `rule.created`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Created { .. } | Self::OrgCreated { .. } => CREATED,
            Self::Updated { .. } | Self::OrgUpdated { .. } => UPDATED,
            Self::Deleted { .. } => DELETED,
            Self::RulesReordered { .. } => REORDERED,
            Self::EntriesChanged { .. } => ENTRIES_CHANGED,
            Self::DeviceEnrolled { .. } => ENROLLED,
            Self::DeviceConfigApplied { .. } => CONFIG_APPLIED,
            Self::DeviceConfigFailed { .. } => CONFIG_FAILED,
        }
    }

    /// The event's short name, as filters and subscriptions use it: `rule.created`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.kind().singular(), self.verb())
    }

    /// The id of the resource; a reordering concerns the rules of the org as a whole and names the org.
    pub fn subject(&self, org: &OrgId) -> String {
        match self {
            Self::Created { resource, .. } | Self::Updated { resource, .. } => resource.id().to_string(),
            Self::Deleted { id, .. } => id.to_string(),
            Self::OrgCreated { org } | Self::OrgUpdated { org, .. } => org.id.to_string(),
            Self::RulesReordered { .. } => org.to_string(),
            Self::EntriesChanged { id, .. } => id.to_string(),
            Self::DeviceEnrolled { device } => device.id.to_string(),
            Self::DeviceConfigApplied { id, .. } | Self::DeviceConfigFailed { id, .. } => id.to_string(),
        }
    }
}

const CREATED: &str = "created";
const UPDATED: &str = "updated";
const DELETED: &str = "deleted";
const REORDERED: &str = "reordered";
const ENTRIES_CHANGED: &str = "entries_changed";
const ENROLLED: &str = "enrolled";
const CONFIG_APPLIED: &str = "config_applied";
const CONFIG_FAILED: &str = "config_failed";

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", &format!("netkeep.{}.{}.v1", self.kind().singular(), self.verb()))?;
        map.serialize_entry("data", &Data(self))?;
        map.end()
    }
}

/// The `data` of an event.
struct Data<'a>(&'a Event);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Event::Created { resource, secret_hash } => {
                map.serialize_entry(resource.kind().singular(), resource)?;
                optional(&mut map, "secret_hash", secret_hash.as_ref())?;
            }
            Event::Updated { resource, changed } => {
                map.serialize_entry(resource.kind().singular(), resource)?;
                map.serialize_entry("changed", changed)?;
            }
            Event::Deleted { id, secret_hash, public_key } => {
                map.serialize_entry("id", id)?;
                optional(&mut map, "secret_hash", secret_hash.as_ref())?;
                optional(&mut map, "public_key", public_key.as_ref())?;
            }
            Event::OrgCreated { org } => map.serialize_entry("org", org)?,
            Event::OrgUpdated { org, changed } => {
                map.serialize_entry("org", org)?;
                map.serialize_entry("changed", changed)?;
            }
            Event::RulesReordered { moved } => map.serialize_entry("moved", moved)?,
            Event::EntriesChanged { id, removed, added, remaining } => {
                map.serialize_entry("id", id)?;
                map.serialize_entry("removed", removed)?;
                map.serialize_entry("added", added)?;
                optional(&mut map, "remaining", Some(remaining).filter(|remaining| !remaining.is_nothing()))?;
            }
            Event::DeviceEnrolled { device } => map.serialize_entry("device", device)?,
            Event::DeviceConfigApplied { id, applied } => {
                map.serialize_entry("id", id)?;
                map.serialize_entry("applied", applied)?;
            }
            Event::DeviceConfigFailed { id, failure } => {
                map.serialize_entry("id", id)?;
                map.serialize_entry("failure", failure)?;
            }
        }
        map.end()
    }
}

fn optional<M: SerializeMap>(map: &mut M, name: &str, value: Option<&impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

/// The fields of the `data` of an event, as they are stored.
struct Stored<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Stored<'a> {
    fn parse(data: &'a RawValue) -> Result<Self, serde_json::Error> {
        serde_json::from_str(data.get()).map(Self)
    }

    fn raw(&self, name: &str) -> Result<&'a str, serde_json::Error> {
        let found = self.0.get(name).map(|raw| raw.get());
        found.ok_or_else(|| serde::de::Error::custom(format_args!("missing field `{name}`")))
    }

    fn read<T: Deserialize<'a>>(&self, name: &str) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.raw(name)?)
    }

    fn optional<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, serde_json::Error> {
        self.0.get(name).map_or(Ok(None), |raw| serde_json::from_str(raw.get()))
    }

    fn resource(&self, kind: Kind) -> Result<AnyResource, serde_json::Error> {
        AnyResource::parse(kind, self.raw(kind.singular())?.as_bytes())
    }
}

impl Event {
    /// Reads the type and the data of a stored event.
    fn read(name: &str, data: &RawValue) -> Result<Self, serde_json::Error> {
        let unknown = || serde::de::Error::custom(format_args!("unknown type {name:?}"));
        let mut words = name.split('.');
        let mut word = || words.next().unwrap_or_default();
        let (source, kind, verb, version) = (word(), Kind::from_singular(word()), word(), word());
        let Some(kind) = kind.filter(|_| source == "netkeep" && version == "v1") else { return Err(unknown()) };
        let data = Stored::parse(data)?;
        Ok(match (kind, verb) {
            (Kind::Org, CREATED) => Self::OrgCreated { org: data.read("org")? },
            (Kind::Org, UPDATED) => Self::OrgUpdated { org: data.read("org")?, changed: data.read("changed")? },
            (Kind::Rule, REORDERED) => Self::RulesReordered { moved: data.read("moved")? },
            (Kind::AddressList, ENTRIES_CHANGED) => Self::EntriesChanged {
                id: data.read("id")?,
                removed: data.read("removed")?,
                added: data.read("added")?,
                remaining: data.optional("remaining")?.unwrap_or_default(),
            },
            (Kind::Device, ENROLLED) => Self::DeviceEnrolled { device: Arc::new(data.read("device")?) },
            (Kind::Device, CONFIG_APPLIED) => {
                Self::DeviceConfigApplied { id: data.read("id")?, applied: data.read("applied")? }
            }
            (Kind::Device, CONFIG_FAILED) => {
                Self::DeviceConfigFailed { id: data.read("id")?, failure: data.read("failure")? }
            }
            (kind, CREATED) => {
                Self::Created { resource: data.resource(kind)?, secret_hash: data.optional("secret_hash")? }
            }
            (kind, UPDATED) => Self::Updated { resource: data.resource(kind)?, changed: data.read("changed")? },
            (_, DELETED) => Self::Deleted {
                id: data.read("id")?,
                secret_hash: data.optional("secret_hash")?,
                public_key: data.optional("public_key")?,
            },
            _ => return Err(unknown()),
        })
    }
}

/// The CloudEvents attributes of an event, and Netkeep's extensions of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub specversion: SpecVersion,
    pub id: EventId,
    /// `/orgs/<org>`.
    pub source: String,
    /// The id of the resource.
    pub subject: String,
    pub time: DateTime<Utc>,
    pub org: OrgId,
    /// 1, 2, 3 … without a gap in each org.
    pub revision: u64,
    /// Who did it: a user, a device, or `system`.
    pub actor: String,
    /// With what they proved it: a token id, `jwt`, a setup key id, a device key.
    pub credential: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sourceip: Option<String>,
    pub commandid: String,
    /// SHA-256 of the request that came with an `Idempotency-Key`: the same key with another request is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commandhash: Option<String>,
    /// The place of its command in a batch, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commandindex: Option<u32>,
    /// The operation that this event belongs to.
    pub correlationid: String,
    /// SHA-256 of the stored bytes of the org's previous event; 64 zeros before the first.
    pub prevhash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// CloudEvents `specversion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpecVersion {
    #[serde(rename = "1.0")]
    V1,
}

/// An event with its attributes, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    #[serde(flatten)]
    pub meta: Meta,
    #[serde(flatten)]
    pub event: Event,
}

/// The stored bytes are not an event that this version knows.
#[derive(Debug, thiserror::Error)]
#[error("not an event that this version knows: {0}")]
pub struct UnknownEvent(#[from] serde_json::Error);

impl Recorded {
    /// Reads an event from its stored form.
    pub fn parse(stored: &str) -> Result<Self, UnknownEvent> {
        /// What is not an attribute of [`Meta`].
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(rename = "type", borrow)]
            name: Cow<'a, str>,
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let meta = serde_json::from_str(stored)?;
        let Body { name, data } = serde_json::from_str(stored)?;
        Ok(Self { meta, event: Event::read(&name, data)? })
    }
}
