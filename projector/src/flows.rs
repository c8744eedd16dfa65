//! Flow batches to the flow table, each row exactly once: files first, then one catalogue change, then the
//! acknowledgements.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use bus::flows::{FlowBatches, FlowMessage};
use futures::StreamExt;
use schemas::files::Catalogue;
use schemas::id::{DeviceId, OrgId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::clock;
use crate::config::Config;
use crate::counts::Counts;
use crate::flow_file::BadBatch;
use crate::flows::catalogue::follow;
use crate::flows::landing::Landing;
use crate::flows::unpack::{Unpacked, unpack};
use crate::parked::{ParkedBatch, head, park, reason};
use crate::retry::Patience;
use crate::store::Store;

mod catalogue;
mod landing;
mod unpack;

/// Writes the flow table.
pub(crate) struct Flows {
    bus: Bus,
    store: Store,
    config: Config,
    batches: FlowBatches,
    counts: Arc<Counts>,
    catalogues: HashMap<OrgId, Catalogue>,
    trimmed: Trimmed,
}

/// What was acknowledged and is still in the stream.
struct Trimmed {
    sequence: u64,
    bytes: usize,
    at: Instant,
}

/// A batch that is to be in a file.
pub(crate) struct Arrived {
    pub(crate) device: DeviceId,
    pub(crate) sequence: u64,
    pub(crate) batch: u64,
    pub(crate) rows: Vec<arrow::array::RecordBatch>,
}

/// A batch that no file will hold.
struct Spoilt {
    /// Which message of the flush.
    number: usize,
    error: BadBatch,
}

/// Orgs whose files are written at once.
const ORGS_MAX: usize = 4;
/// Files of one org in one flush; a catalogue change has to fit one message.
const FILES_MAX: usize = 128;
/// What is unpacked at once.
const UNPACKED_BYTES_MAX: usize = 512 << 20;
/// Acknowledged batches leave the stream when they are that many bytes, or that old.
const TRIM_BYTES: usize = 64 << 20;
const TRIM_AFTER: Duration = Duration::from_secs(15);

impl Flows {
    pub(crate) fn new(bus: Bus, store: Store, config: Config, batches: FlowBatches, counts: Arc<Counts>) -> Self {
        let trimmed = Trimmed { sequence: 0, bytes: 0, at: Instant::now() };
        Self { bus, store, config, batches, counts, catalogues: HashMap::new(), trimmed }
    }

    /// Runs until it is time to stop. Nothing is fetched while a flush is in hand: devices wait, memory does not grow.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut waiting = VecDeque::new();
        while !stop.is_cancelled() {
            if waiting.is_empty() {
                let Some(fetched) = self.fetch(&stop).await else { return };
                waiting.extend(fetched);
            }
            if self.flush(&stop, &mut waiting).await.is_none() {
                return;
            }
            self.trim().await;
        }
    }

    async fn fetch(&mut self, stop: &CancellationToken) -> Option<Vec<FlowMessage>> {
        let messages_max = self.config.flow_flush_batches_max as usize;
        let bytes_max = self.config.flow_flush_bytes_max as usize;
        let mut patience = Patience::new(stop, "fetch flow batches");
        loop {
            let fetched = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                fetched = self.batches.next(messages_max, bytes_max, self.config.flow_flush()) => fetched,
            };
            match fetched {
                Ok(fetched) => return Some(fetched),
                Err(error) if patience.after(&error).await => {}
                Err(_) => return None,
            }
        }
    }

    /// Brings what waits, or as much of it as fits, into the table and acknowledges it. `None` if the projector stops
    /// before that is done.
    async fn flush(&mut self, stop: &CancellationToken, waiting: &mut VecDeque<FlowMessage>) -> Option<()> {
        for message in waiting.iter() {
            if !self.catalogues.contains_key(&message.org) {
                let mut catalogue = Catalogue::default();
                follow(&self.bus, stop, &message.org, &mut catalogue).await?;
                self.catalogues.insert(message.org.clone(), catalogue);
            }
        }
        let (messages, arrived, mut spoilt) = self.take(waiting).await;
        let last_sequence = messages.last().map(|message| message.sequence);
        spoilt.extend(self.land(stop, arrived).await?);
        for Spoilt { number, error } in spoilt {
            if let Some(message) = messages.get(number) {
                self.park(stop, message, &error).await?;
            }
        }
        for message in &messages {
            self.trimmed.bytes += message.payload.len();
            if let Err(error) = message.ack().await {
                debug!("a flow batch will come again: {error}");
            }
        }
        self.trimmed.sequence = last_sequence.unwrap_or(self.trimmed.sequence);
        Some(())
    }

    /// Takes messages off the front as far as bounds allow, and unpacks what is new of them.
    async fn take(
        &self,
        waiting: &mut VecDeque<FlowMessage>,
    ) -> (Vec<FlowMessage>, BTreeMap<OrgId, Vec<(usize, Arrived)>>, Vec<Spoilt>) {
        let rows_max = self.config.flow_flush_rows_max as usize;
        let limit = unpack::within(waiting, rows_max, UNPACKED_BYTES_MAX);
        let payloads = waiting.iter().take(limit).map(|message| self.is_new(message).then(|| message.payload.clone()));
        let unpacked = unpack(payloads.collect(), self.config.threads(), clock::now()).await;

        let mut hours: BTreeMap<OrgId, BTreeSet<i64>> = BTreeMap::new();
        let mut sent: BTreeMap<DeviceId, u64> = BTreeMap::new();
        let (mut messages, mut arrived, mut spoilt) = (Vec::new(), BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for unpacked in unpacked {
            if let Unpacked::Rows(_, more) = &unpacked
                && let Some(message) = waiting.front()
            {
                let hours = hours.entry(message.org.clone()).or_default();
                hours.extend(more);
                if hours.len() > FILES_MAX {
                    break;
                }
            }
            let Some(message) = waiting.pop_front() else { break };
            let number = messages.len();
            let is_repeated = sent.get(&message.device).is_some_and(|last| message.batch <= *last);
            match unpacked {
                Unpacked::Rows(rows, _) if !is_repeated => {
                    sent.insert(message.device, message.batch);
                    let FlowMessage { device, sequence, batch, .. } = message;
                    let of_org = arrived.entry(message.org.clone()).or_default();
                    of_org.push((number, Arrived { device, sequence, batch, rows }));
                }
                Unpacked::Bad(error) => spoilt.push(Spoilt { number, error }),
                Unpacked::Rows(_, _) | Unpacked::Known => self.counts.flow_batches_repeated.add(1),
            }
            messages.push(message);
        }
        (messages, arrived, spoilt)
    }

    fn is_new(&self, message: &FlowMessage) -> bool {
        let catalogue = self.catalogues.get(&message.org);
        !catalogue.is_some_and(|catalogue| catalogue.holds(message.sequence, message.device, message.batch))
    }

    /// Brings batches into the table, several orgs at once. Says which of them cannot be encoded.
    async fn land(
        &mut self,
        stop: &CancellationToken,
        arrived: BTreeMap<OrgId, Vec<(usize, Arrived)>>,
    ) -> Option<Vec<Spoilt>> {
        let landing =
            Landing { bus: &self.bus, store: &self.store, counts: &self.counts, threads: self.config.threads(), stop };
        let mut orgs = Vec::new();
        for (org, arrived) in arrived {
            let catalogue = self.catalogues.remove(&org).unwrap_or_default();
            orgs.push((org, catalogue, arrived));
        }
        let landed: Vec<_> = futures::stream::iter(orgs)
            .map(|(org, mut catalogue, arrived)| {
                let landing = &landing;
                async move {
                    let spoilt = landing.land(&org, &mut catalogue, arrived).await;
                    (org, catalogue, spoilt)
                }
            })
            .buffer_unordered(ORGS_MAX)
            .collect()
            .await;
        let mut all = Some(Vec::new());
        for (org, catalogue, spoilt) in landed {
            self.catalogues.insert(org, catalogue);
            all = all.zip(spoilt).map(|(mut all, spoilt)| {
                all.extend(spoilt);
                all
            });
        }
        all
    }

    async fn park(&self, stop: &CancellationToken, message: &FlowMessage, error: &BadBatch) -> Option<()> {
        let FlowMessage { org, device, sequence, batch, payload, .. } = message;
        warn!("flow batch {batch} of {device} is in no file: {error}");
        self.counts.flow_batches_parked.add(1);
        let parked = ParkedBatch {
            org,
            device: *device,
            sequence: *sequence,
            batch: *batch,
            error: reason(error),
            bytes: payload.len(),
            head: head(payload),
            at: clock::now(),
        };
        park(&self.bus, stop, &format!("flows.{sequence}"), &parked).await.then_some(())
    }

    /// Makes room in the stream.
    async fn trim(&mut self) {
        let Trimmed { sequence, bytes, at } = self.trimmed;
        if bytes == 0 || (bytes < TRIM_BYTES && at.elapsed() < TRIM_AFTER) {
            return;
        }
        match self.batches.trim(sequence).await {
            Ok(()) => self.trimmed = Trimmed { sequence, bytes: 0, at: Instant::now() },
            Err(error) => warn!("cannot trim the flow batches (will try again): {error}"),
        }
    }
}
