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

/// A durable reader of the FLOWS stream, in order and without a gap: whoever has handled a batch has handled, or got
/// acknowledged, every batch before it.
pub struct FlowBatches {
    stream: async_nats::jetstream::stream::Stream<()>,
    consumer: async_nats::jetstream::consumer::Consumer<pull::Config>,
    name: String,
    /// The consumer's own count of deliveries, up to the last that arrived here; `None` when it must be set back.
    delivered: Option<u64>,
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
        Ok(FlowBatches { stream, consumer, name: name.to_owned(), delivered: None })
    }
}

impl FlowBatches {
    /// Up to `messages_max` batches: as soon as that many or `bytes_max` are there, or what came within `wait`.
    ///
    /// A message whose subject or number cannot be read was not sent by a device; it is acknowledged and left out.
    /// After an error the next call begins again at the first batch that is not acknowledged.
    pub async fn next(
        &mut self,
        messages_max: usize,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<Vec<FlowMessage>, Error> {
        let mut delivered = match self.delivered.take() {
            Some(delivered) => delivered,
            None => self.set_back().await?,
        };
        let fetch = self.consumer.batch().max_messages(messages_max).max_bytes(bytes_max).expires(wait);
        let mut fetched = fetch.messages().await.during("fetch flow batches")?;
        let mut batches = Vec::new();
        while let Some(message) = fetched.next().await {
            let message = match message {
                Ok(message) => message,
                // The server ends a fetch with a status, also where the next message exceeds `bytes_max`.
                Err(_) if !batches.is_empty() => break,
                Err(cause) => return Err(Error::Failed { what: "fetch flow batches", cause: cause.to_string() }),
            };
            let info = message.info().during("fetch flow batches")?;
            if info.consumer_sequence != delivered + 1 {
                // Something was delivered and lost on the way. What is here is still in order; the rest is not.
                return Ok(batches);
            }
            delivered += 1;
            let sequence = info.stream_sequence;
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
        self.delivered = Some(delivered);
        Ok(batches)
    }

    /// Removes the messages before `sequence` from the stream, which must be handled: they are only in the way of
    /// new ones. The last one stays, so that the stream is never empty and its sequences go on.
    pub async fn trim(&self, sequence: u64) -> Result<(), Error> {
        self.stream.purge().sequence(sequence).await.during("trim the flow batches").map(|_| ())
    }

    /// Goes back to the first message that is not acknowledged. Messages that an earlier reader, or a lost
    /// connection, left delivered and unacknowledged would otherwise come again after later ones.
    async fn set_back(&self) -> Result<u64, Error> {
        let reset = self.stream.reset_consumer(&self.name, None).await.during("set back the flow batches")?;
        Ok(reset.info.delivered.consumer_sequence)
    }
}
