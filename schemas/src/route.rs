//! Static routes of devices.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::address::Span;
use crate::device::InterfaceName;
use crate::id::{DeviceId, GroupId};
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag, yes};

crate::resource! {
    /// A static route of one device, or of every device of some groups.
    ///
    /// Kept, checked and versioned; devices do not carry it out yet.
    Route(RouteId) from NewRoute {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        #[serde(default = "yes")]
        #[schema(default = true)]
        enabled: bool,
        /// The CIDR block that it leads to.
        #[serde(alias = "destination")]
        network: Span,
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        gateway: Option<IpAddr>,
        #[serde(default)]
        interface: Option<InterfaceName>,
        /// 1 to 9,999; of routes to the same network the lowest wins.
        #[serde(default = "metric_default")]
        #[schema(default = 100, minimum = 1, maximum = 9999)]
        metric: u32,
        /// Routes of the same network that stand in for each other share this.
        #[serde(default)]
        network_id: Option<Name>,
        /// Whether what it leads to sees the device's own address as source.
        #[serde(default)]
        masquerade: bool,
        /// The device that has it; not together with `group_ids`.
        #[serde(default, alias = "peer")]
        device_id: Option<DeviceId>,
        #[serde(default, alias = "peer_groups")]
        group_ids: Vec<GroupId>,
    }
    aliases {
        "destination" => "network",
        "peer" => "device_id",
        "peer_groups" => "group_ids",
    }
}

pub const METRIC_MAX: u32 = 9_999;

fn metric_default() -> u32 {
    100
}

impl Related for Route {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        if let Some(id) = self.device_id {
            note("device_id", id.into());
        }
        self.group_ids.iter().for_each(|id| note("group_ids", (*id).into()));
    }
}
