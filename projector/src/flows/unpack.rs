//! Payloads to rows, on several threads.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use bus::flows::FlowMessage;
use bytes::Bytes;

use crate::flow_file::{BadBatch, decode, inspect};

/// What is in a message.
pub(super) enum Unpacked {
    /// Rows, and the hours that they fall in.
    Rows(Vec<RecordBatch>, BTreeSet<i64>),
    /// Nothing new: it was not unpacked.
    Known,
    Bad(BadBatch),
}

/// How many messages from the front stay within the bounds together; at least one.
pub(super) fn within(waiting: &VecDeque<FlowMessage>, rows_max: usize, bytes_max: usize) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    let fits = waiting.iter().take_while(|message| {
        if let Ok(extent) = inspect(&message.payload) {
            rows += extent.rows;
            bytes += extent.bytes;
        }
        rows <= rows_max && bytes <= bytes_max
    });
    fits.count().max(1)
}

/// Unpacks each payload; `None` stands for one that is known already.
pub(super) async fn unpack(payloads: Vec<Option<Bytes>>, threads: usize) -> Vec<Unpacked> {
    let count = payloads.len();
    let unpacked = tokio::task::spawn_blocking(move || on_threads(&payloads, threads.min(payloads.len()).max(1)));
    // Nothing in there panics; if it did, none of the messages would be lost for it.
    unpacked
        .await
        .unwrap_or_else(|error| (0..count).map(|_| Unpacked::Bad(BadBatch::Content(error.to_string()))).collect())
}

fn on_threads(payloads: &[Option<Bytes>], threads: usize) -> Vec<Unpacked> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(payload) = payloads.get(number) else { return done };
            done.push((number, one(payload.as_ref())));
        }
    };
    let mut done: Vec<(usize, Unpacked)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for worker in workers {
            done.extend(worker.join().unwrap_or_default());
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, unpacked)| unpacked).collect()
}

fn one(payload: Option<&Bytes>) -> Unpacked {
    match payload.map(|payload| decode(payload)) {
        None => Unpacked::Known,
        Some(Ok((rows, hours))) => Unpacked::Rows(rows, hours),
        Some(Err(error)) => Unpacked::Bad(error),
    }
}
