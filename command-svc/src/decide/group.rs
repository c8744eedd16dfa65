//! Groups of devices. Devices say which groups they are in; writing a group's devices changes those devices.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::device::Device;
use schemas::group::{Group, NewGroup};
use schemas::id::{DeviceId, GroupId};
use schemas::resource::{Reference, ResourceId};
use schemas::state::OrgState;

use super::device::GROUPS_MAX;
use super::resource::{Also, Decided};
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

/// Devices that one command may put into a group or take out of it.
const MOVED_MAX: usize = 1_000;

impl Decided for Group {
    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)
    }

    fn complete(&mut self, given: &NewGroup, _: Option<&Self>, org: &OrgState, ctx: &Context) -> Result<(), Refusal> {
        let Some(ids) = &given.device_ids else { return Ok(()) };
        let there = |id: &&DeviceId| org.devices.get(id).is_some_and(|device| device.is_there(ctx));
        if let Some(unknown) = ids.iter().find(|id| !there(id)) {
            return Err(Refusal::ReferenceUnknown { field: "device_ids", id: (*unknown).into() });
        }
        check_moves(&moved(org, self.id, &ids.iter().copied().collect()), self.id, ctx)
    }

    /// The devices of a group that goes leave it.
    fn check_deletion(&self, org: &OrgState, ctx: &Context) -> Result<(), Refusal> {
        check_moves(&members(org, self.id), self.id, ctx)
    }

    fn also(&self, given: Option<&NewGroup>, org: &OrgState) -> Result<Vec<Also>, Refusal> {
        let wanted: BTreeSet<DeviceId> = match given {
            None => BTreeSet::new(),
            Some(NewGroup { device_ids: None, .. }) => return Ok(Vec::new()),
            Some(NewGroup { device_ids: Some(ids), .. }) => ids.iter().copied().collect(),
        };
        let moved = moved(org, self.id, &wanted);
        bounded("device_ids", moved.len(), MOVED_MAX)?;
        let changed = moved.iter().filter_map(|id| org.devices.get(id)).map(|device| {
            let mut device = Device::clone(device);
            device.group_ids.retain(|id| *id != self.id);
            if wanted.contains(&device.id) {
                device.group_ids.push(self.id);
                bounded("group_ids", device.group_ids.len(), GROUPS_MAX)?;
            }
            Ok(Also::Updated(Arc::new(device).into(), "group_ids"))
        });
        changed.collect()
    }

    fn is_within(&self, groups: &[GroupId], _: &OrgState) -> bool {
        groups.contains(&self.id)
    }

    fn lets_go(user: ResourceId) -> bool {
        matches!(user, ResourceId::Device(_))
    }
}

/// Who is bound to groups moves devices into and out of those only.
fn check_moves(moved: &BTreeSet<DeviceId>, group: GroupId, ctx: &Context) -> Result<(), Refusal> {
    let own = ctx.device_groups.as_ref().is_none_or(|own| own.contains(&group));
    if own || moved.is_empty() { Ok(()) } else { Err(Refusal::OutOfScope { field: "device_ids" }) }
}

fn members(org: &OrgState, group: GroupId) -> BTreeSet<DeviceId> {
    let group = Reference::from(group);
    org.users_of(&group).filter_map(|user| DeviceId::try_from(user).ok()).collect()
}

/// The devices that come into a group or leave it.
fn moved(org: &OrgState, group: GroupId, wanted: &BTreeSet<DeviceId>) -> BTreeSet<DeviceId> {
    members(org, group).symmetric_difference(wanted).copied().collect()
}
