//! The control plane's end of the flow batches: read in order, acknowledged when they are in a file.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::Acker;
use bytes::Bytes;
use futures::StreamExt;
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;

use crate::connect::Bus;
use crate::error::{During, Error};

/// A durable reader of the FLOWS stream.
pub struct FlowBatches {
    consumer: async_nats::jetstream::consumer::Consumer<pull::Config>,
}

/// One batch as it came from a device.
pub struct FlowMessage {
    pub org: OrgId,
    pub device: DeviceId,
    /// The FLOWS stream sequence.
    pub sequence: u64,
    /// The batch's number in its device's own count.
    pub batch: u64,
    pub payload: Bytes,
    acker: Acker,
}

impl FlowMessage {
    /// Tells the stream that the batch is in a file (or parked) and need not come again.
    pub async fn ack(&self) -> Result<(), Error> {
        self.acker.ack().await.during("acknowledge a flow batch")
    }
}

/// How long a fetched batch may take to be in a file before it is delivered again.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// Batches that are fetched and not acknowledged.
const UNACKED_MAX: i64 = 8_192;

impl Bus {
    /// Opens the durable reader `name` of all flow batches. One process reads at a time.
    pub async fn flow_batches(&self, name: &str) -> Result<FlowBatches, Error> {
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: UNACKED_MAX,
            ..pull::Config::default()
        };
        let stream = self.jetstream.get_stream_no_info(subjects::FLOWS).await.during("open the flow batches")?;
        let consumer = stream.get_or_create_consumer(name, config).await.during("open the flow batches")?;
        Ok(FlowBatches { consumer })
    }
}

impl FlowBatches {
    /// Up to `messages_max` batches: as soon as that many or `bytes_max` are there, or what came within `wait`.
    ///
    /// A message whose subject or number cannot be read was not sent by a device; it is acknowledged and left out.
    pub async fn next(&self, messages_max: usize, bytes_max: usize, wait: Duration) -> Result<Vec<FlowMessage>, Error> {
        let fetch = self.consumer.batch().max_messages(messages_max).max_bytes(bytes_max).expires(wait);
        let mut fetched = fetch.messages().await.during("fetch flow batches")?;
        let mut batches = Vec::new();
        while let Some(message) = fetched.next().await {
            let message =
                message.map_err(|cause| Error::Failed { what: "fetch flow batches", cause: cause.to_string() })?;
            let sequence = message.info().during("fetch flow batches")?.stream_sequence;
            let number = message.headers.as_ref().and_then(|headers| headers.get(subjects::BATCH_HEADER));
            let number = number.and_then(|number| number.as_str().parse().ok());
            let (message, acker) = message.split();
            match subjects::device_of(&message.subject).zip(number) {
                Some(((org, device), batch)) => {
                    batches.push(FlowMessage { org, device, sequence, batch, payload: message.payload, acker });
                }
                None => acker.ack().await.during("acknowledge a flow batch")?,
            }
        }
        Ok(batches)
    }
}
