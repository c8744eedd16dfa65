//! Zones.

use schemas::event::Event;
use schemas::id::ZoneId;
use schemas::kind::Kind;
use schemas::state::OrgState;
use schemas::zone::{NewZone, Zone, ZonePatch};

use super::{Context, changed_fields};
use crate::refusal::Refusal;

pub(super) fn create(org: &OrgState, new: &NewZone, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    if new.name.is_local() {
        return Err(Refusal::ZoneReserved { field: "name" });
    }
    if org.zone_names.contains_key(&new.name) {
        return Err(Refusal::NameTaken { kind: Kind::Zone, name: new.name.to_string() });
    }
    let zone = Zone {
        id: ZoneId::new(ctx.id(0)),
        revision: org.revision + 1,
        name: new.name.clone(),
        description: new.description.clone(),
        metadata: new.metadata.clone(),
        predefined: false,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    Ok(vec![Event::ZoneCreated { zone }])
}

pub(super) fn update(org: &OrgState, id: ZoneId, patch: &ZonePatch, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let before = find(org, id)?;
    let mut zone = before.clone();
    if let Some(description) = &patch.description {
        zone.description = description.clone();
    }
    if let Some(metadata) = &patch.metadata {
        zone.metadata = metadata.clone();
    }
    let changed = changed_fields(before, &zone);
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    zone.revision = org.revision + 1;
    zone.updated_at = ctx.now;
    Ok(vec![Event::ZoneUpdated { zone, changed }])
}

pub(super) fn delete(org: &OrgState, id: ZoneId) -> Result<Vec<Event>, Refusal> {
    let zone = find(org, id)?;
    if zone.predefined {
        return Err(Refusal::ZonePredefined(zone.name.to_string()));
    }
    let rules = org.rules.values().filter(|rule| rule.zone_from == zone.name || rule.zone_to == zone.name);
    let holds = |device: &&std::sync::Arc<schemas::device::Device>| {
        device.interfaces.iter().any(|interface| interface.zone.as_ref() == Some(&zone.name))
    };
    let devices = org.devices.values().filter(holds);
    let users: Vec<String> =
        rules.map(|rule| rule.id.to_string()).chain(devices.map(|device| device.id.to_string())).take(100).collect();
    if !users.is_empty() {
        return Err(Refusal::InUse { kind: Kind::Zone, name: zone.name.to_string(), users });
    }
    Ok(vec![Event::ZoneDeleted { id }])
}

fn find(org: &OrgState, id: ZoneId) -> Result<&Zone, Refusal> {
    let found = org.zones.get(&id).map(|zone| &**zone);
    found.ok_or_else(|| Refusal::NotFound { kind: Kind::Zone, id: id.to_string() })
}
