//! Devices: enrolment, settings, and what they say of their configs.

use std::collections::BTreeSet;

use schemas::agent::{Outcome, Report};
use schemas::device::{Applied, ApplyFailure, Device, DeviceSettings, Enrolment, Interface, Mode};
use schemas::event::{Event, SecretHash};
use schemas::id::{DeviceId, GroupId, SetupKeyId};
use schemas::kind::Kind;
use schemas::resource::{Reference, Resource, Stamp};
use schemas::setup_key::{SetupKey, SetupKeyState};
use schemas::state::OrgState;
use schemas::text::{Description, Metadata, Name};

use super::resource::Decided;
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

const INTERFACES_MAX: usize = 256;
const NETWORKS_MAX: usize = 1_000;
pub(super) const GROUPS_MAX: usize = 100;
/// What is kept of a device's own words.
const ERROR_CHARS_MAX: usize = 2_000;
const AGENT_VERSION_CHARS_MAX: usize = 50;

impl Decided for Device {
    /// Who does not speak of the approval leaves it as it is.
    fn complete(&mut self, given: &DeviceSettings, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        self.approved = given.approved.unwrap_or(self.approved);
        Ok(())
    }

    fn check(&self, before: Option<&Self>, org: &OrgState, ctx: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("networks", self.networks.len(), NETWORKS_MAX)?;
        bounded("group_ids", self.group_ids.len(), GROUPS_MAX)?;
        check_moves(before.map_or(&[], |before| &before.group_ids), &self.group_ids, ctx)?;
        check_interfaces(org, &self.interfaces)
    }

    fn is_within(&self, groups: &[GroupId], _: &OrgState) -> bool {
        self.group_ids.iter().any(|id| groups.contains(id))
    }

    /// A caller whose token is bound to groups sees the devices of those groups.
    fn is_there(&self, ctx: &Context) -> bool {
        let within = |groups: &Vec<_>| self.group_ids.iter().any(|id| groups.contains(id));
        ctx.device_groups.as_ref().is_none_or(within)
    }
}

/// Whether the caller may take a device out of and put it into these groups: who is bound to groups, only theirs.
fn check_moves(before: &[GroupId], after: &[GroupId], ctx: &Context) -> Result<(), Refusal> {
    let Some(own) = &ctx.device_groups else { return Ok(()) };
    let gone = before.iter().filter(|id| !after.contains(id));
    let come = after.iter().filter(|id| !before.contains(id));
    if gone.chain(come).all(|id| own.contains(id)) { Ok(()) } else { Err(Refusal::OutOfScope { field: "group_ids" }) }
}

/// Takes a device in, and counts the use of its setup key in the same commit.
pub(super) fn enrol(org: &OrgState, enrolment: &Enrolment, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let holder = org.secret_holder(&SecretHash::of(&enrolment.setup_key));
    let id = holder.and_then(|holder| SetupKeyId::try_from(holder).ok());
    let key = id.and_then(|id| org.setup_keys.get(&id)).ok_or(Refusal::SetupKeyUnknown)?;
    if let Some(known) = org.device_of_key(&enrolment.public_key) {
        // Who lost the answer asks again.
        return if known.setup_key_id == key.id { Ok(Vec::new()) } else { Err(Refusal::DeviceKeyTaken) };
    }
    match key.state(ctx.now) {
        SetupKeyState::Valid => {}
        SetupKeyState::Revoked => return Err(Refusal::SetupKeyRevoked),
        SetupKeyState::Expired => return Err(Refusal::SetupKeyExpired),
        SetupKeyState::Overused => return Err(Refusal::SetupKeyOverused),
    }
    let max = org.org.as_ref().map_or(0, |org| org.plan.resources_max(Kind::Device));
    if org.devices.len() >= max {
        return Err(Refusal::LimitReached { kind: Kind::Device, max });
    }
    check_interfaces(org, &enrolment.interfaces)?;
    let settings = DeviceSettings {
        name: free_name(org, &enrolment.name, ctx)?,
        description: Description::default(),
        metadata: Metadata::default(),
        tags: Vec::new(),
        location: Description::default(),
        mode: Mode::default(),
        interfaces: enrolment.interfaces.clone(),
        group_ids: key.auto_group_ids.clone(),
        networks: Vec::new(),
        approved: None,
    };
    let stamp = Stamp { revision: org.revision + 1, at: ctx.now };
    let device = Device {
        public_key: enrolment.public_key.clone(),
        agent_version: enrolment.agent_version.chars().take(AGENT_VERSION_CHARS_MAX).collect(),
        setup_key_id: key.id,
        ephemeral: key.ephemeral,
        approved: !key.approval_required,
        ..Device::create(DeviceId::new(ctx.id(0)), settings, stamp)
    };
    let setup_key = SetupKey {
        revision: org.revision + 2,
        used_times: key.used_times.saturating_add(1),
        last_used_at: Some(ctx.now),
        updated_at: ctx.now,
        ..SetupKey::clone(key)
    };
    let changed = vec!["used_times".to_owned(), "last_used_at".to_owned()];
    Ok(vec![
        Event::DeviceEnrolled { device: std::sync::Arc::new(device) },
        Event::Updated { resource: setup_key.into(), changed },
    ])
}

/// Records what a device says. Saying it twice changes nothing: a device repeats itself until it is answered.
pub(super) fn report(org: &OrgState, id: DeviceId, report: &Report) -> Result<Vec<Event>, Refusal> {
    let found = org.devices.get(&id);
    let device = found.ok_or_else(|| Refusal::NotFound { kind: Kind::Device, id: id.to_string() })?;
    let is_digest = report.hash.len() == 64 && report.hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_digest || report.revision > org.revision || super::check_time("at", report.at).is_err() {
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
    bounded("interfaces", interfaces.len(), INTERFACES_MAX)?;
    let mut seen = BTreeSet::new();
    for interface in interfaces {
        if !seen.insert(&interface.name) {
            return Err(Refusal::InterfaceTwice(interface.name.to_string()));
        }
        if let Some(zone) = &interface.zone {
            if zone.is_local() {
                return Err(Refusal::ZoneReserved { field: "interfaces" });
            }
            if !org.has(&Reference::Zone(zone.clone())) {
                return Err(Refusal::ZoneUnknown { field: "interfaces", zone: zone.to_string() });
            }
        }
    }
    Ok(())
}

/// Devices name themselves after their host, and hosts share names: the second `edge` becomes `edge-<end of its id>`, or
/// is named by its id where somebody took that name too.
fn free_name(org: &OrgState, wanted: &Name, ctx: &Context) -> Result<Name, Refusal> {
    let id = DeviceId::new(ctx.id(0)).to_string();
    let tail: String = id.chars().skip(id.len().saturating_sub(8)).collect();
    let head: String = wanted.as_str().chars().take(schemas::text::NAME_CHARS_MAX - 9).collect();
    let names = [wanted.to_string(), format!("{}-{tail}", head.trim_end()), id];
    let mut free = names.into_iter().filter(|name| org.devices.named(name).is_none());
    let found = free.find_map(|name| Name::new(name).ok());
    found.ok_or_else(|| Refusal::NameTaken { kind: Kind::Device, name: wanted.to_string() })
}
