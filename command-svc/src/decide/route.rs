//! Static routes.

use schemas::id::GroupId;
use schemas::route::{METRIC_MAX, Route};
use schemas::state::OrgState;

use super::resource::{Decided, only_of};
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

const GROUPS_MAX: usize = 100;

impl Decided for Route {
    fn is_within(&self, groups: &[GroupId], org: &OrgState) -> bool {
        let device = self.device_id.and_then(|id| org.devices.get(&id));
        let own = device.is_some_and(|device| device.is_within(groups, org));
        own || only_of(&self.group_ids, groups)
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        let invalid = |field, cause: &str| Err(Refusal::Invalid { field, cause: cause.to_owned() });
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("group_ids", self.group_ids.len(), GROUPS_MAX)?;
        if !(1..=METRIC_MAX).contains(&self.metric) {
            return invalid("metric", "a metric is 1 to 9999");
        }
        if self.network.prefix_bits().is_none() {
            return invalid("network", "a route leads to one CIDR block");
        }
        if self.device_id.is_none() == self.group_ids.is_empty() {
            return invalid("device_id", "give device_id or group_ids, one of them");
        }
        if self.gateway.is_none() && self.interface.is_none() {
            return invalid("gateway", "give a gateway, an interface, or both");
        }
        match self.gateway {
            Some(gateway) if gateway.is_ipv4() != self.network.is_ipv4() => {
                invalid("gateway", "gateway and network are of different address families")
            }
            Some(_) | None => Ok(()),
        }
    }
}
