//! Groups of devices: what firewalls, policies, routes and DNS settings apply to.

use std::borrow::Cow;

use crate::id::DeviceId;
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag};

crate::resource! {
    /// A group of devices. A device says which groups it is in (`group_ids`).
    Group(GroupId) from NewGroup {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
    }
    given {
        /// The devices of the group, all of them; absent leaves them as they are.
        #[serde(default, alias = "peers", skip_serializing_if = "Option::is_none")]
        device_ids: Option<Vec<DeviceId>>,
    }
    aliases {
        "peers" => "device_ids",
    }
}

impl Related for Group {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, _: &mut dyn FnMut(&'static str, Reference)) {}
}
