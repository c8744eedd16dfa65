//! What all sources of packets and all tasks share: the flow table, the spool, and the counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::agent::Heartbeat;
use tokio::sync::Notify;
use tracing::{error, warn};

use crate::batch::{Row, batches};
use crate::clock::now;
use crate::flow_table::{FlowTable, Heard};
use crate::packet::Packet;
use crate::spool::{Next, Spool};
use crate::verdict::Judge;

/// From packets to batches on disk.
pub(crate) struct Pipeline {
    table: Mutex<FlowTable>,
    spool: Mutex<Spool>,
    /// Told when a batch was spooled.
    pub(crate) spooled: Notify,
    packets_seen: AtomicU64,
    packets_missed: AtomicU64,
    rows_sent: AtomicU64,
}

impl Pipeline {
    pub(crate) fn new(flows_max: usize, spool: Spool) -> Self {
        Self {
            table: Mutex::new(FlowTable::new(flows_max)),
            spool: Mutex::new(spool),
            spooled: Notify::new(),
            packets_seen: AtomicU64::new(0),
            packets_missed: AtomicU64::new(0),
            rows_sent: AtomicU64::new(0),
        }
    }

    pub(crate) fn observe(&self, packet: &Packet<'_>, interface: &Arc<str>, at_us: i64) {
        self.packets_seen.fetch_add(1, Ordering::Relaxed);
        lock(&self.table).observe(packet, interface, at_us);
    }

    pub(crate) fn hear(&self, packet: &Packet<'_>, heard: Heard, at_us: i64) {
        lock(&self.table).hear(packet, heard, at_us);
    }

    pub(crate) fn count_missed(&self, packets: u64) {
        self.packets_missed.fetch_add(packets, Ordering::Relaxed);
    }

    /// Ends a window: its flows become rows, its rows batches on disk. Blocks.
    pub(crate) fn close_window(&self, now_us: i64, all: bool, judge: &Judge<'_>) {
        let mut rows = Vec::new();
        lock(&self.table).close_window(now_us, all, &mut |flow, window| {
            let verdict = judge.judge(flow, &window);
            rows.push(Row::new(flow, window, verdict));
        });
        let batches = match batches(rows) {
            Ok(batches) => batches,
            Err(error) => {
                error!("rows cannot be encoded and are given up: {error}");
                return;
            }
        };
        for batch in &batches {
            let mut spool = lock(&self.spool);
            if let Err(error) = spool.push(batch) {
                spool.count_dropped();
                warn!("a batch of {} rows cannot be kept on disk and is given up: {error}", batch.rows);
            }
        }
        if !batches.is_empty() {
            self.spooled.notify_one();
        }
    }

    pub(crate) fn oldest_batch(&self) -> Option<Next> {
        lock(&self.spool).oldest()
    }

    /// Removes a batch that was acknowledged.
    pub(crate) fn batch_sent(&self, batch: &Next) {
        match lock(&self.spool).remove(batch.number) {
            Ok(rows) => {
                let rows = rows.unwrap_or_else(|| row_count(&batch.payload));
                self.rows_sent.fetch_add(u64::try_from(rows).unwrap_or(0), Ordering::Relaxed);
            }
            // It will be sent again, which is harmless: its number says so.
            Err(error) => warn!("batch {} cannot be removed from the spool: {error}", batch.number),
        }
    }

    pub(crate) fn batches_spooled(&self) -> usize {
        lock(&self.spool).len()
    }

    pub(crate) fn heartbeat(&self, revision: u64) -> Heartbeat {
        let (flows_active, flows_evicted) = {
            let table = lock(&self.table);
            (count(table.len()), table.evicted())
        };
        let spool = lock(&self.spool);
        Heartbeat {
            at: now(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            revision,
            packets_seen: self.packets_seen.load(Ordering::Relaxed),
            packets_missed: self.packets_missed.load(Ordering::Relaxed),
            flows_active,
            flows_evicted,
            rows_sent: self.rows_sent.load(Ordering::Relaxed),
            batches_spooled: count(spool.len()),
            batches_dropped: spool.dropped(),
        }
    }
}

fn row_count(payload: &[u8]) -> usize {
    schemas::flow::decode(payload).map_or(0, |batches| batches.iter().map(|batch| batch.num_rows()).sum())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// What a thread that panicked left behind is sums: at worst a packet is missing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
