//! Zones. Their name is their identity.

use schemas::state::OrgState;
use schemas::zone::{NewZone, Zone};

use super::Context;
use super::resource::Decided;
use crate::refusal::Refusal;

impl Decided for Zone {
    fn complete(&mut self, _: &NewZone, before: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        match before {
            Some(before) if before.name != self.name => Err(Refusal::ZoneRenamed),
            Some(_) | None => Ok(()),
        }
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        let reserved = self.name.is_local() || self.name.as_str().eq_ignore_ascii_case("any");
        if reserved { Err(Refusal::ZoneReserved { field: "name" }) } else { Ok(()) }
    }

    fn check_deletion(&self, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        if self.predefined { Err(Refusal::ZonePredefined(self.name.to_string())) } else { Ok(()) }
    }
}
