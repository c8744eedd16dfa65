//! The zone matrix.

use schemas::state::OrgState;
use schemas::zone_policy::{NewZonePolicy, ZonePolicy};

use super::Context;
use super::resource::Decided;
use crate::refusal::Refusal;

impl Decided for ZonePolicy {
    fn complete(
        &mut self,
        _: &NewZonePolicy,
        before: Option<&Self>,
        org: &OrgState,
        _: &Context,
    ) -> Result<(), Refusal> {
        if before.is_none() {
            self.number = org.number_last.saturating_add(1);
        }
        Ok(())
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        let is_local = |zone: Option<&schemas::zone::ZoneName>| zone.is_some_and(schemas::zone::ZoneName::is_local);
        if is_local(self.zone_from.zone()) && is_local(self.zone_to.zone()) {
            return Err(Refusal::Invalid {
                field: "zone_to",
                cause: "what a device sends to itself is not filtered".to_owned(),
            });
        }
        Ok(())
    }
}
