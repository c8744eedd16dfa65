//! Memory of queries: each has its own bound, all together have one.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// What all queries of this process hold together.
#[derive(Debug)]
pub(super) struct Shared {
    bytes_max: usize,
    held: AtomicUsize,
}

impl Shared {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, held: AtomicUsize::new(0) })
    }

    /// The pool of one more query, which may hold `bytes_max` of it.
    pub(super) fn query(self: &Arc<Self>, bytes_max: usize) -> Arc<dyn MemoryPool> {
        Arc::new(QueryPool { own: FairSpillPool::new(bytes_max.min(self.bytes_max)), shared: self.clone() })
    }

    fn try_take(&self, bytes: usize) -> Result<()> {
        let room = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.bytes_max);
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room) {
            Ok(_) => Ok(()),
            Err(held) => Err(DataFusionError::ResourcesExhausted(format!(
                "{bytes} bytes asked for, {held} of {} taken by all queries together",
                self.bytes_max
            ))),
        }
    }
}

/// What a query holds from its planning to its end.
#[derive(Debug)]
pub(super) struct Kept {
    pool: Arc<dyn MemoryPool>,
    parts: Mutex<Vec<MemoryReservation>>,
}

impl Kept {
    pub(super) fn new(pool: Arc<dyn MemoryPool>) -> Self {
        Self { pool, parts: Mutex::default() }
    }

    /// Makes room for a part before it is made.
    pub(super) fn take(&self, name: &'static str, bytes: usize) -> Result<()> {
        let part = MemoryConsumer::new(name).register(&self.pool);
        part.try_grow(bytes)?;
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
        Ok(())
    }
}

/// One query's part: operators that can spill share it fairly.
#[derive(Debug)]
struct QueryPool {
    own: FairSpillPool,
    shared: Arc<Shared>,
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(of {} bytes shared)", self.name(), self.shared.bytes_max)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.shared.held.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.shared.held.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.shared.try_take(additional)?;
        self.own.try_grow(reservation, additional).inspect_err(|_| {
            self.shared.held.fetch_sub(additional, Ordering::Relaxed);
        })
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_together_stay_within_the_shared_bound() {
        let shared = Shared::new(100);
        let (first, second) = (shared.query(80), shared.query(80));
        let one = MemoryConsumer::new("one").register(&first);
        let two = MemoryConsumer::new("two").register(&second);
        assert!(one.try_grow(81).is_err(), "more than its own bound");
        one.try_grow(60).expect("room");
        assert!(two.try_grow(60).is_err(), "more than what is left");
        two.try_grow(40).expect("room");
        drop(one);
        two.try_grow(20).expect("room again");
        drop(two);
        assert_eq!(shared.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_kept_counts_until_the_query_ends() {
        let shared = Shared::new(100);
        let kept = Kept::new(shared.query(80));
        kept.take("events", 50).expect("room");
        assert!(kept.take("rules", 31).is_err(), "more than the query's own bound");
        assert_eq!(shared.held.load(Ordering::Relaxed), 50);
        drop(kept);
        assert_eq!(shared.held.load(Ordering::Relaxed), 0);
    }
}
