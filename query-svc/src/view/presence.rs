//! Which devices are online: those whose last heartbeat is a few seconds old.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use imbl::OrdMap;
use schemas::agent::Heartbeat;
use schemas::device::Device;
use schemas::id::DeviceId;
use schemas::view::{Desired, DeviceView};

/// How long after a heartbeat a device counts as online.
pub(crate) const ONLINE: Duration = Duration::from_secs(15);

/// The last sign of life of a device.
#[derive(Debug)]
pub(crate) struct Seen {
    /// By our own clock, because a device's may be wrong.
    pub(crate) at: DateTime<Utc>,
    pub(crate) heartbeat: Heartbeat,
}

/// The last sign of life of each device of an org. Cloning costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence(OrdMap<DeviceId, Arc<Seen>>);

impl Presence {
    pub(crate) fn take(&mut self, device: DeviceId, heartbeat: Heartbeat, at: DateTime<Utc>) {
        self.0.insert(device, Arc::new(Seen { at, heartbeat }));
    }

    /// A device as the API shows it.
    pub(crate) fn view(&self, device: &Device, desired: Option<&Desired>, now: DateTime<Utc>) -> DeviceView {
        let seen = self.0.get(&device.id);
        let online = seen.filter(|seen| fresh(seen, now));
        DeviceView {
            device: device.clone(),
            desired: desired.cloned(),
            online: online.is_some(),
            last_seen: seen.map(|seen| seen.at),
            heartbeat: online.map(|seen| seen.heartbeat.clone()),
        }
    }
}

fn fresh(seen: &Seen, now: DateTime<Utc>) -> bool {
    (now - seen.at).to_std().unwrap_or_default() < ONLINE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_goes_offline_when_it_falls_silent() {
        let at: DateTime<Utc> = "2026-11-21T13:00:00Z".parse().expect("a time");
        let seen = Seen { at, heartbeat: Heartbeat::default() };
        assert!(fresh(&seen, at + chrono::TimeDelta::seconds(14)));
        assert!(!fresh(&seen, at + chrono::TimeDelta::seconds(15)));
    }
}
