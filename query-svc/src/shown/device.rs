//! Devices: what they should run, what they run and whether they are there.

use std::borrow::Cow;

use schemas::access::Verb;
use schemas::device::Device;
use schemas::kind::Kind;
use schemas::view::DeviceView;

use super::{Seen, Shown};

impl Shown for Device {
    type View = DeviceView;

    fn view(&self, seen: &Seen) -> Cow<'_, DeviceView> {
        let desired = seen.org.models.desired.get(&self.id).map(AsRef::as_ref);
        Cow::Owned(seen.org.presence.view(self, desired, seen.now))
    }

    fn sees_all(seen: &Seen) -> bool {
        seen.caller.as_ref().is_none_or(|caller| caller.device_groups(Verb::Read, Kind::Device).is_none())
    }

    /// A token that is bound to groups of devices shows no others.
    fn is_visible(&self, seen: &Seen) -> bool {
        let groups = seen.caller.as_ref().and_then(|caller| caller.device_groups(Verb::Read, Kind::Device));
        groups.is_none_or(|groups| self.group_ids.iter().any(|id| groups.contains(id)))
    }
}

/// Whether a device runs what it should.
pub(crate) fn is_in_sync(view: &DeviceView) -> bool {
    match (&view.desired, &view.device.applied) {
        (Some(desired), Some(applied)) => desired.hash == applied.hash,
        (_, _) => false,
    }
}
