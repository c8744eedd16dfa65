//! The zone matrix: what happens to new connections between two zones where no rule decides.

use std::borrow::Cow;

use crate::resource::{Reference, Related};
use crate::rule::Action;
use crate::selector::ZoneMatch;
use crate::text::{Description, Metadata};

crate::resource! {
    /// The default of a pair of zones. The most specific pair decides: both zones, then the zone that traffic comes
    /// from, then the one it goes to, then `any` to `any`. Where none is set, traffic is accepted.
    ZonePolicy(ZonePolicyId) from NewZonePolicy {
        #[serde(alias = "from")]
        zone_from: ZoneMatch,
        #[serde(alias = "to")]
        zone_to: ZoneMatch,
        action: Action,
        /// Whether each new connection that it decides is logged on the device.
        #[serde(default)]
        log: bool,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
    }
    kept {
        /// Its number among all that decides on traffic in the org: the conntrack mark.
        #[serde(default)]
        number: u32,
    }
    aliases {
        "from" => "zone_from",
        "to" => "zone_to",
    }
}

impl Related for ZonePolicy {
    /// A pair has one default.
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(format!("{} to {}", self.zone_from, self.zone_to).into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        for (field, zone) in [("zone_from", &self.zone_from), ("zone_to", &self.zone_to)] {
            if let Some(name) = zone.zone() {
                note(field, Reference::Zone(name.clone()));
            }
        }
    }
}
