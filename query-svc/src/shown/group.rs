//! Groups, with their devices.

use std::borrow::Cow;

use schemas::device::Device;
use schemas::group::Group;
use schemas::id::DeviceId;
use schemas::view::{GroupView, NamedDevice};

use super::{Seen, Shown};

impl Shown for Group {
    type View = GroupView;

    fn view(&self, seen: &Seen) -> Cow<'_, GroupView> {
        let mut used = 0;
        let mut devices = Vec::new();
        for user in seen.org.models.state.users_of(&self.id.into()) {
            match DeviceId::try_from(user) {
                Ok(id) => devices.extend(
                    Device::find(id, seen).map(|device| NamedDevice { id: device.id, name: device.name.clone() }),
                ),
                Err(_) => used += 1,
            }
        }
        Cow::Owned(GroupView {
            group: self.clone(),
            devices_count: devices.len(),
            device_ids: devices.iter().map(|device| device.id).collect(),
            devices,
            used,
        })
    }
}
