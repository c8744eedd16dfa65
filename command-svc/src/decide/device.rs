//! Devices: enrolment, settings, and what they say of their configs.

use std::collections::BTreeSet;

use schemas::agent::{Outcome, Report};
use schemas::device::{Applied, ApplyFailure, Device, DevicePatch, Enrolment, Interface, Mode};
use schemas::event::{Event, SecretHash};
use schemas::id::DeviceId;
use schemas::kind::Kind;
use schemas::setup_key::{SetupKey, SetupKeyState};
use schemas::state::OrgState;
use schemas::text::{Description, Metadata, Name};

use super::rule::zone_exists;
use super::{Context, changed_fields};
use crate::refusal::Refusal;

const INTERFACES_MAX: usize = 256;
/// What is kept of a device's own words.
const ERROR_CHARS_MAX: usize = 2_000;
const AGENT_VERSION_CHARS_MAX: usize = 50;

/// Takes a device in, and counts the use of its setup key in the same commit.
pub(super) fn enrol(org: &OrgState, enrolment: &Enrolment, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let hash = SecretHash::of(&enrolment.setup_key);
    let id = org.setup_key_hashes.iter().find(|(_, known)| **known == hash).map(|(id, _)| *id);
    let key = id.and_then(|id| org.setup_keys.get(&id)).ok_or(Refusal::SetupKeyUnknown)?;
    if let Some(known) = org.device_keys.get(&enrolment.public_key).and_then(|id| org.devices.get(id)) {
        // Who lost the answer asks again.
        return if known.setup_key_id == key.id { Ok(Vec::new()) } else { Err(Refusal::DeviceKeyTaken) };
    }
    match key.state(ctx.now) {
        SetupKeyState::Valid => {}
        SetupKeyState::Revoked => return Err(Refusal::SetupKeyRevoked),
        SetupKeyState::Expired => return Err(Refusal::SetupKeyExpired),
        SetupKeyState::Overused => return Err(Refusal::SetupKeyOverused),
    }
    check_interfaces(org, &enrolment.interfaces)?;
    let device = Device {
        id: DeviceId::new(ctx.id(0)),
        revision: org.revision + 1,
        name: free_name(org, &enrolment.name, ctx),
        description: Description::default(),
        metadata: Metadata::default(),
        public_key: enrolment.public_key.clone(),
        agent_version: enrolment.agent_version.chars().take(AGENT_VERSION_CHARS_MAX).collect(),
        setup_key_id: key.id,
        mode: Mode::default(),
        interfaces: enrolment.interfaces.clone(),
        applied: None,
        failure: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let setup_key = SetupKey {
        revision: org.revision + 2,
        used_times: key.used_times.saturating_add(1),
        updated_at: ctx.now,
        ..SetupKey::clone(key)
    };
    let changed = vec!["used_times".to_owned()];
    Ok(vec![Event::DeviceEnrolled { device }, Event::SetupKeyUpdated { setup_key, changed }])
}

pub(super) fn update(org: &OrgState, id: DeviceId, patch: &DevicePatch, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let before = find(org, id)?;
    let mut device = before.clone();
    if let Some(name) = &patch.name {
        if org.device_names.get(name).is_some_and(|holder| *holder != id) {
            return Err(Refusal::NameTaken { kind: Kind::Device, name: name.to_string() });
        }
        device.name = name.clone();
    }
    if let Some(description) = &patch.description {
        device.description = description.clone();
    }
    if let Some(metadata) = &patch.metadata {
        device.metadata = metadata.clone();
    }
    if let Some(mode) = patch.mode {
        device.mode = mode;
    }
    if let Some(interfaces) = &patch.interfaces {
        check_interfaces(org, interfaces)?;
        device.interfaces = interfaces.clone();
    }
    let changed = changed_fields(before, &device);
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    device.revision = org.revision + 1;
    device.updated_at = ctx.now;
    Ok(vec![Event::DeviceUpdated { device, changed }])
}

pub(super) fn delete(org: &OrgState, id: DeviceId) -> Result<Vec<Event>, Refusal> {
    let device = find(org, id)?;
    Ok(vec![Event::DeviceDeleted { id, public_key: device.public_key.clone() }])
}

/// Records what a device says. Saying it twice changes nothing: a device repeats itself until it is answered.
pub(super) fn report(org: &OrgState, id: DeviceId, report: &Report) -> Result<Vec<Event>, Refusal> {
    let device = find(org, id)?;
    let is_digest = report.hash.len() == 64 && report.hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_digest || report.revision > org.revision {
        return Err(Refusal::ReportInvalid);
    }
    let (error, reverted) = match &report.outcome {
        Outcome::Applied => {
            let same = |applied: &Applied| applied.revision == report.revision && applied.hash == report.hash;
            if device.applied.as_ref().is_some_and(same) && device.failure.is_none() {
                return Ok(Vec::new());
            }
            let applied = Applied { revision: report.revision, hash: report.hash.clone(), at: report.at };
            return Ok(vec![Event::DeviceConfigApplied { id, applied }]);
        }
        Outcome::Failed { error } => (error, false),
        Outcome::Reverted { error } => (error, true),
    };
    let error: String = error.chars().take(ERROR_CHARS_MAX).collect();
    let failure = ApplyFailure { revision: report.revision, hash: report.hash.clone(), error, reverted, at: report.at };
    let same = |known: &ApplyFailure| ApplyFailure { at: failure.at, ..known.clone() } == failure;
    if device.failure.as_ref().is_some_and(same) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::DeviceConfigFailed { id, failure }])
}

fn check_interfaces(org: &OrgState, interfaces: &[Interface]) -> Result<(), Refusal> {
    if interfaces.len() > INTERFACES_MAX {
        let length = interfaces.len();
        return Err(Refusal::ListTooLong { field: "interfaces", length, max: INTERFACES_MAX });
    }
    let mut seen = BTreeSet::new();
    for interface in interfaces {
        if !seen.insert(&interface.name) {
            return Err(Refusal::InterfaceTwice(interface.name.to_string()));
        }
        if let Some(zone) = &interface.zone {
            if zone.is_local() {
                return Err(Refusal::ZoneReserved { field: "interfaces" });
            }
            zone_exists(org, "interfaces", zone)?;
        }
    }
    Ok(())
}

/// Devices name themselves after their host, and hosts share names: the second `edge` becomes `edge-<end of its id>`.
fn free_name(org: &OrgState, wanted: &Name, ctx: &Context) -> Name {
    if !org.device_names.contains_key(wanted) {
        return wanted.clone();
    }
    let id = DeviceId::new(ctx.id(0)).to_string();
    let tail: String = id.chars().skip(id.len().saturating_sub(8)).collect();
    let head: String = wanted.as_str().chars().take(schemas::text::NAME_CHARS_MAX - 9).collect();
    Name::new(format!("{}-{tail}", head.trim_end())).unwrap_or_else(|_| wanted.clone())
}

fn find(org: &OrgState, id: DeviceId) -> Result<&Device, Refusal> {
    let found = org.devices.get(&id).map(|device| &**device);
    found.ok_or_else(|| Refusal::NotFound { kind: Kind::Device, id: id.to_string() })
}
