//! Writes that are under way: several at once, never more than a bound.

use std::collections::VecDeque;

use bus::bucket::PendingPut;

/// Writes without an acknowledgement, oldest first.
pub(crate) struct Pending {
    writes: VecDeque<PendingPut>,
    acknowledged: u64,
}

const UNDER_WAY_MAX: usize = 512;

impl Pending {
    pub(crate) fn new() -> Self {
        Self { writes: VecDeque::new(), acknowledged: 0 }
    }

    /// Adds a write; waits for the oldest where there are many.
    pub(crate) async fn push(&mut self, write: PendingPut) -> Result<(), bus::Error> {
        self.writes.push_back(write);
        while self.writes.len() > UNDER_WAY_MAX {
            self.settle_one().await?;
        }
        Ok(())
    }

    /// Waits until all are stored, and says how many there were.
    pub(crate) async fn settle(mut self) -> Result<u64, bus::Error> {
        while !self.writes.is_empty() {
            self.settle_one().await?;
        }
        Ok(self.acknowledged)
    }

    async fn settle_one(&mut self) -> Result<(), bus::Error> {
        if let Some(write) = self.writes.pop_front() {
            write.await?;
            self.acknowledged += 1;
        }
        Ok(())
    }
}
