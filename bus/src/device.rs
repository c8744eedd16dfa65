//! A device's end of the bus: it may use its own subjects and no others.

use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use schemas::agent::{Heartbeat, Report, ReportAnswer};
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;

use crate::connect::{Bus, BusAuth};
use crate::error::{During, Error};
use crate::log::last_message;

/// A device's connection. Cloning shares it.
#[derive(Clone)]
pub struct DeviceBus {
    bus: Bus,
    org: OrgId,
    device: DeviceId,
}

const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

impl DeviceBus {
    /// Connects with the device's own key; afterwards the connection is kept up for ever.
    pub async fn connect(urls: &[String], seed: &str, org: OrgId, device: DeviceId) -> Result<Self, Error> {
        let auth = BusAuth::Seed(seed.to_owned());
        let inbox = subjects::device_inbox(device);
        let bus = Bus::connect_with(urls, &auth, &device.to_string(), |it| it.custom_inbox_prefix(inbox)).await?;
        Ok(Self { bus, org, device })
    }

    /// Whether the connection is up at this moment.
    pub fn connected(&self) -> bool {
        self.bus.connected()
    }

    /// How often the connection was made: it differs after each reconnect, however short the gap was.
    pub fn connects(&self) -> u64 {
        self.bus.connects()
    }

    /// The config that was last pushed to this device.
    pub async fn last_config(&self) -> Result<Option<Bytes>, Error> {
        let subject = subjects::device_config(&self.org, self.device);
        Ok(last_message(&self.bus, subjects::DEVICES, &subject).await?.map(|(_, config)| config))
    }

    /// The configs pushed from here on. What is pushed while the connection is down is not among them: read
    /// [`DeviceBus::last_config`] after each reconnect.
    pub async fn configs(&self) -> Result<impl Stream<Item = Bytes> + Send + use<>, Error> {
        let subject = subjects::device_config(&self.org, self.device);
        let messages = self.bus.client.subscribe(subject).await.during("listen for configs")?;
        Ok(messages.map(|message| message.payload))
    }

    /// Tells the control plane what became of a config and waits for its answer.
    pub async fn report(&self, report: &Report) -> Result<ReportAnswer, Error> {
        let payload = serde_json::to_vec(report).during("write a report")?;
        let subject = subjects::agent_report(&self.org, self.device);
        let asked = self.bus.client.request(subject, payload.into());
        let answer = tokio::time::timeout(REPORT_TIMEOUT, asked).await;
        let answer = answer.map_err(|_| Error::TimedOut { what: "a report" })?.during("report")?;
        serde_json::from_slice(&answer.payload)
            .map_err(|cause| Error::Malformed("an answer to a report", cause.to_string()))
    }

    /// Shows a sign of life.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), Error> {
        let payload = serde_json::to_vec(heartbeat).during("write a heartbeat")?;
        let subject = subjects::agent_telemetry(&self.org, self.device);
        self.bus.client.publish(subject, payload.into()).await.during("send a heartbeat")
    }

    /// Sends a flow batch. Acknowledged means stored; after any error the same number is sent again, and the table
    /// takes each number once. There is no message id: the stream's ids are of all devices, and one could use up another's.
    pub async fn send_batch(&self, number: u64, payload: Bytes) -> Result<u64, Error> {
        let message = PublishMessage::build().header(subjects::BATCH_HEADER, number.to_string()).payload(payload);
        let subject = subjects::flows(&self.org, self.device);
        let sent = self.bus.jetstream.send_publish(subject, message).await.map_err(send_error)?;
        sent.await.map(|ack| ack.sequence).map_err(send_error)
    }
}

fn send_error(error: async_nats::jetstream::context::PublishError) -> Error {
    match error.kind() {
        PublishErrorKind::TimedOut => Error::TimedOut { what: "a flow batch" },
        // The server answers a full stream with an error of its own; all of these mean: later, again.
        PublishErrorKind::Other => Error::Full(error.to_string()),
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::MaxPayloadExceeded => Error::Failed { what: "send a flow batch", cause: error.to_string() },
    }
}
