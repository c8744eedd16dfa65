//! Orgs and their users.

use schemas::access::Role;
use schemas::event::Event;
use schemas::id::{UserId, ZoneId};
use schemas::org::Org;
use schemas::state::OrgState;
use schemas::text::{Description, Metadata, Name};
use schemas::user::User;
use schemas::zone::{PREDEFINED, Zone};

use super::Context;
use crate::refusal::Refusal;

/// Founds an org with its predefined zones.
pub(super) fn create(org: &OrgState, name: &Name, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    if org.org.is_some() {
        return Err(Refusal::OrgExists(ctx.org.clone()));
    }
    let (created_at, updated_at) = (ctx.now, ctx.now);
    let founded = Org { id: ctx.org.clone(), revision: 1, name: name.clone(), created_at, updated_at };
    let mut events = vec![Event::OrgCreated { org: founded }];
    let names = PREDEFINED.iter().filter_map(|name| name.parse().ok());
    for (n, name) in (1u8..).zip(names) {
        let zone = Zone {
            id: ZoneId::new(ctx.id(n)),
            revision: 1 + u64::from(n),
            name,
            description: Description::default(),
            metadata: Metadata::default(),
            predefined: true,
            created_at,
            updated_at,
        };
        events.push(Event::ZoneCreated { zone });
    }
    Ok(events)
}

pub(super) fn create_user(org: &OrgState, role: Role, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let user =
        User { id: UserId::new(ctx.id(0)), revision: org.revision + 1, role, created_at: ctx.now, updated_at: ctx.now };
    Ok(vec![Event::UserCreated { user }])
}
