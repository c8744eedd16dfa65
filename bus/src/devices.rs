//! The control plane's end of the device configs.

use bytes::Bytes;
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;

use crate::connect::Bus;
use crate::error::{During, Error};
use crate::log::last_message;

impl Bus {
    /// Publishes the config of a device: stored as its last, and pushed to it if it listens.
    pub async fn push_config(&self, org: &OrgId, device: DeviceId, config: Bytes) -> Result<u64, Error> {
        let subject = subjects::device_config(org, device);
        let sent = self.jetstream.publish(subject, config).await.during("push a config")?;
        sent.await.map(|ack| ack.sequence).during("push a config")
    }

    /// The config that was last pushed to a device.
    pub async fn last_config(&self, org: &OrgId, device: DeviceId) -> Result<Option<Bytes>, Error> {
        let subject = subjects::device_config(org, device);
        Ok(last_message(self, subjects::DEVICES, &subject).await?.map(|(_, config)| config))
    }
}
