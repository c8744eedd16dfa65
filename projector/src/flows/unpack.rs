//! Payloads to rows, on several threads.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use bus::flows::FlowMessage;
use bytes::Bytes;
use chrono::{DateTime, Utc};

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

/// Unpacks each payload, in their order; `None` stands for one that is known already.
pub(super) async fn unpack(payloads: Vec<Option<Bytes>>, threads: usize, now: DateTime<Utc>) -> Vec<Unpacked> {
    let count = payloads.len();
    let threads = threads.min(count).max(1);
    let unpacked = tokio::task::spawn_blocking(move || on_threads(&payloads, threads, |payload| one(payload, now)));
    // Nothing in there panics; if it did, none of the messages would be lost for it.
    unpacked
        .await
        .unwrap_or_else(|error| (0..count).map(|_| Unpacked::Bad(BadBatch::Content(error.to_string()))).collect())
}

fn on_threads<One>(payloads: &[Option<Bytes>], threads: usize, one: One) -> Vec<Unpacked>
where
    One: Fn(Option<&Bytes>) -> Unpacked + Sync,
{
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(payload) = payloads.get(number) else { return done };
            // One that cannot be unpacked takes no other with it.
            let unpacked = catch_unwind(AssertUnwindSafe(|| one(payload.as_ref())));
            done.push((number, unpacked.unwrap_or_else(|_| lost())));
        }
    };
    let done: Vec<(usize, Unpacked)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for worker in workers {
            done.extend(worker.join().unwrap_or_default());
        }
        done
    });
    in_order(payloads.len(), done)
}

/// Each result in its message's place: one that is missing moves no other.
fn in_order(count: usize, done: Vec<(usize, Unpacked)>) -> Vec<Unpacked> {
    let mut slots: Vec<Unpacked> = (0..count).map(|_| lost()).collect();
    for (number, unpacked) in done {
        if let Some(slot) = slots.get_mut(number) {
            *slot = unpacked;
        }
    }
    slots
}

fn lost() -> Unpacked {
    Unpacked::Bad(BadBatch::Content("the thread that unpacked it gave up".to_owned()))
}

fn one(payload: Option<&Bytes>, now: DateTime<Utc>) -> Unpacked {
    match payload.map(|payload| decode(payload, now)) {
        None => Unpacked::Known,
        Some(Ok((rows, hours))) => Unpacked::Rows(rows, hours),
        Some(Err(error)) => Unpacked::Bad(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;

    use super::{BadBatch, Unpacked, in_order, on_threads};

    /// Rows whose hour is the payload's first byte; a panic for 0.
    fn first_byte(payload: Option<&Bytes>) -> Unpacked {
        let Some(payload) = payload else { return Unpacked::Known };
        assert_ne!(payload[0], 0, "as the decoder might");
        Unpacked::Rows(Vec::new(), BTreeSet::from([i64::from(payload[0])]))
    }

    fn is_bad(unpacked: &Unpacked) -> bool {
        matches!(unpacked, Unpacked::Bad(BadBatch::Content(_)))
    }

    #[test]
    fn a_payload_that_panics_moves_no_other() {
        let payloads: Vec<Option<Bytes>> =
            (0..200u8).map(|n| (n % 5 != 0).then(|| Bytes::from(vec![if n % 7 == 0 { 0 } else { n }]))).collect();
        for threads in [1, 4] {
            let unpacked = on_threads(&payloads, threads, first_byte);
            assert_eq!(unpacked.len(), payloads.len());
            for (n, unpacked) in unpacked.iter().enumerate() {
                match unpacked {
                    Unpacked::Known => assert_eq!(n % 5, 0),
                    Unpacked::Rows(_, hours) => assert_eq!(*hours, BTreeSet::from([n as i64])),
                    Unpacked::Bad(_) => assert!(is_bad(unpacked) && n % 7 == 0 && n % 5 != 0, "{n}"),
                }
            }
        }
    }

    #[test]
    fn a_result_that_is_missing_moves_no_other() {
        let rows = |hour| Unpacked::Rows(Vec::new(), BTreeSet::from([hour]));
        let slots = in_order(4, vec![(3, rows(3)), (0, rows(0)), (2, Unpacked::Known)]);
        assert!(matches!(&slots[0], Unpacked::Rows(_, hours) if hours.contains(&0)));
        assert!(is_bad(&slots[1]));
        assert!(matches!(slots[2], Unpacked::Known));
        assert!(matches!(&slots[3], Unpacked::Rows(_, hours) if hours.contains(&3)));
    }
}
