//! Orgs.

use schemas::event::Event;
use schemas::id::ZoneId;
use schemas::org::{Org, OrgPatch};
use schemas::plan::Plan;
use schemas::resource::{Resource, Stamp};
use schemas::state::OrgState;
use schemas::text::{Description, Metadata, Name};
use schemas::zone::{NewZone, PREDEFINED, Zone};

use super::{Context, bounded, changed_fields};
use crate::refusal::Refusal;

const SOURCES_MAX: usize = 1_000;

/// Founds an org with its predefined zones.
pub(super) fn create(org: &OrgState, name: &Name, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    if org.org.is_some() {
        return Err(Refusal::OrgExists(ctx.org.clone()));
    }
    let founded = Org {
        id: ctx.org.clone(),
        revision: 1,
        name: name.clone(),
        description: Description::default(),
        metadata: Metadata::default(),
        plan: Plan::default(),
        api_sources: Vec::new(),
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let mut events = vec![Event::OrgCreated { org: founded }];
    let names = PREDEFINED.iter().filter_map(|name| name.parse().ok());
    for (n, name) in (1u8..).zip(names) {
        let new = NewZone { name, description: Description::default(), metadata: Metadata::default() };
        let stamp = Stamp { revision: 1 + u64::from(n), at: ctx.now };
        let zone = Zone { predefined: true, ..Zone::create(ZoneId::new(ctx.id(n)), new, stamp) };
        events.push(Event::Created { resource: zone.into(), secret_hash: None });
    }
    Ok(events)
}

pub(super) fn update(org: &OrgState, patch: &OrgPatch, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let Some(before) = &org.org else { return Err(Refusal::OrgMissing(ctx.org.clone())) };
    let mut after = Org::clone(before);
    let OrgPatch { name, description, metadata, plan, api_sources } = patch.clone();
    after.name = name.unwrap_or(after.name);
    after.description = description.unwrap_or(after.description);
    after.metadata = metadata.unwrap_or(after.metadata);
    after.plan = plan.unwrap_or(after.plan);
    if let Some(sources) = api_sources {
        bounded("api_sources", sources.len(), SOURCES_MAX)?;
        let shut_out = |ip| !sources.is_empty() && !sources.iter().any(|span| span.contains(ip));
        if ctx.source_ip.is_some_and(shut_out) {
            return Err(Refusal::SourceLockout);
        }
        after.api_sources = sources;
    }
    let changed = changed_fields(&**before, &after);
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    after.revision = org.revision + 1;
    after.updated_at = ctx.now;
    Ok(vec![Event::OrgUpdated { org: after, changed }])
}
