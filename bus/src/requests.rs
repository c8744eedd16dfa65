//! What devices say: reports (answered) and heartbeats.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use schemas::agent::{Heartbeat, Report, ReportAnswer};
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;

use crate::connect::Bus;
use crate::error::{During, Error};

/// A report of a device. The subject it came on says whose it is: no device may publish on another's.
pub struct ReportRequest {
    pub org: OrgId,
    pub device: DeviceId,
    pub report: Report,
    reply: Option<async_nats::Subject>,
    bus: Bus,
}

impl ReportRequest {
    /// Answers the device; without an answer it asks again.
    pub async fn answer(self, answer: &ReportAnswer) -> Result<(), Error> {
        let Some(reply) = self.reply else { return Ok(()) };
        let payload = serde_json::to_vec(answer).during("answer a report")?;
        self.bus.client.publish(reply, Bytes::from(payload)).await.during("answer a report")
    }
}

impl Bus {
    /// The reports of all devices; several readers share them.
    pub async fn reports(&self) -> Result<impl Stream<Item = ReportRequest> + Send + use<>, Error> {
        let messages = self.client.queue_subscribe("agent.*.*.report", "command-svc".to_owned()).await;
        let bus = self.clone();
        Ok(messages.during("listen for reports")?.filter_map(move |message| {
            let read = subjects::device_of(&message.subject).zip(bounded(&message.payload));
            let bus = bus.clone();
            let request =
                read.map(|((org, device), report)| ReportRequest { org, device, report, reply: message.reply, bus });
            futures::future::ready(request)
        }))
    }

    /// The heartbeats of all devices; several readers share them.
    pub async fn heartbeats(&self) -> Result<impl Stream<Item = (OrgId, DeviceId, Heartbeat)> + Send + use<>, Error> {
        let messages = self.client.queue_subscribe("agent.*.*.telemetry", "projector".to_owned()).await;
        Ok(messages.during("listen for heartbeats")?.filter_map(|message| {
            let read = subjects::device_of(&message.subject).zip(bounded(&message.payload));
            futures::future::ready(read.map(|((org, device), heartbeat)| (org, device, heartbeat)))
        }))
    }
}

impl Bus {
    /// Which devices are heard from, each time they are. Every reader hears of all.
    pub async fn signs_of_life(&self) -> Result<impl Stream<Item = (OrgId, DeviceId)> + Send + use<>, Error> {
        let messages = self.client.subscribe("agent.*.*.telemetry").await.during("listen for heartbeats")?;
        Ok(messages.filter_map(|message| futures::future::ready(subjects::device_of(&message.subject))))
    }
}

/// What a device says fits in this; more is not read.
const SAID_BYTES_MAX: usize = 64 << 10;

fn bounded<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Option<T> {
    (payload.len() <= SAID_BYTES_MAX).then(|| serde_json::from_slice(payload).ok()).flatten()
}
