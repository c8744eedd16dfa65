//! The names on the bus: streams, subjects, buckets and headers.

use crate::id::{DeviceId, OrgId};
use crate::kind::Kind;

/// The event store: one message is one commit of one org.
pub const EVENTS: &str = "EVENTS";
/// Each event by itself, for subscribers.
pub const FEED: &str = "FEED";
/// The desired config of each device.
pub const DEVICES: &str = "DEVICES";
/// Flow batches on their way to the table.
pub const FLOWS: &str = "FLOWS";
/// The file catalogue of the tables: one message is one atomic change.
pub const FILES: &str = "FILES";

/// KV: read models. The number is the version of their layout: another layout is another bucket.
pub const STATE_BUCKET: &str = "state-v1";
/// KV: the last heartbeat of each device, for as long as it counts as online.
pub const PRESENCE_BUCKET: &str = "presence";
/// KV: what a projection could not digest, with its error, for a person to look at.
pub const PARKED_BUCKET: &str = "parked";

/// KV: the key that opens what is personal of each user. Who erases it makes that unreadable everywhere.
pub const PEOPLE_BUCKET: &str = "people";
/// KV: when each API token was used last, and when each user signed in last.
pub const USES_BUCKET: &str = "uses";

/// The header of a flow batch: its number in its device's own count, `1, 2, 3 …`, kept across restarts.
pub const BATCH_HEADER: &str = "Netkeep-Batch";

pub fn events(org: &OrgId) -> String {
    format!("events.{org}")
}

pub fn files(org: &OrgId) -> String {
    format!("files.{org}")
}

pub fn feed(org: &OrgId, kind: Kind, id: &str, verb: &str) -> String {
    format!("feed.{org}.{}.{id}.{verb}", kind.plural())
}

pub fn flows(org: &OrgId, device: DeviceId) -> String {
    format!("flows.{org}.{device}")
}

pub fn device_config(org: &OrgId, device: DeviceId) -> String {
    format!("device.{org}.{device}.config")
}

pub fn agent_report(org: &OrgId, device: DeviceId) -> String {
    format!("agent.{org}.{device}.report")
}

pub fn agent_telemetry(org: &OrgId, device: DeviceId) -> String {
    format!("agent.{org}.{device}.telemetry")
}

/// The prefix of a device's own inbox: no other device may listen there.
pub fn device_inbox(device: DeviceId) -> String {
    format!("_INBOX_{device}")
}

/// The KV key of a resource's read model.
pub fn state_key(org: &OrgId, kind: Kind, id: &str) -> String {
    format!("{org}.{}.{id}", kind.plural())
}

/// The KV key of the desired config of a device.
pub fn desired_key(org: &OrgId, device: DeviceId) -> String {
    format!("{org}.desired.{device}")
}

/// The KV key of an org's read position; written after what it covers.
pub fn head_key(org: &OrgId) -> String {
    format!("{org}.head.head")
}

pub fn presence_key(org: &OrgId, device: DeviceId) -> String {
    format!("{org}.{device}")
}

/// Reads `<prefix>.<org>` as the org.
pub fn org_of(subject: &str) -> Option<OrgId> {
    subject.split('.').nth(1)?.parse().ok()
}

/// Reads `<prefix>.<org>.<device>…` as org and device.
pub fn device_of(subject: &str) -> Option<(OrgId, DeviceId)> {
    let mut parts = subject.split('.').skip(1);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
