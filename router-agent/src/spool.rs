//! Batches on disk until they are acknowledged: numbered `1, 2, 3 …` for ever, bounded, oldest given up first.
//!
//! A number is written down before it is used and never used again, also when its batch was lost: who receives batches
//! tells a repetition by its number.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tracing::warn;

use crate::batch::Encoded;
use crate::identity::replace_file;

/// The batches that wait.
pub struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    waiting: VecDeque<Waiting>,
    bytes: u64,
    last_number: u64,
    dropped: u64,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    number: u64,
    bytes: u64,
    /// Absent for a batch that an earlier process left.
    rows: Option<usize>,
}

/// A batch whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    pub number: u64,
    pub payload: Bytes,
}

impl Spool {
    /// Opens the folder with what an earlier process left in it.
    pub fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut waiting = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Some(number) = number_of(&entry.path()) {
                waiting.push(Waiting { number, bytes: entry.metadata()?.len(), rows: None });
            }
        }
        waiting.sort_by_key(|one| one.number);
        let counted = match fs::read_to_string(folder.join("last-number")) {
            Ok(text) => text.trim().parse().map_err(|_| io::Error::other("the spool's last-number is damaged"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let last_number = waiting.last().map_or(0, |one| one.number).max(counted);
        let bytes = waiting.iter().map(|one| one.bytes).sum();
        Ok(Self { folder: folder.to_owned(), bytes_max, waiting: waiting.into(), bytes, last_number, dropped: 0 })
    }

    /// Keeps a batch and gives its number. Where the bound is reached the oldest give way.
    pub fn push(&mut self, batch: &Encoded) -> io::Result<u64> {
        let bytes = u64::try_from(batch.bytes.len()).unwrap_or(u64::MAX);
        while self.bytes.saturating_add(bytes) > self.bytes_max {
            let Some(oldest) = self.waiting.front().copied() else { break };
            warn!(batch.number = oldest.number, "the spool is full: batch {} is given up", oldest.number);
            self.remove(oldest.number)?;
            self.dropped += 1;
        }
        let number = self.last_number + 1;
        replace_file(&self.folder.join("last-number"), number.to_string().as_bytes())?;
        self.last_number = number;
        replace_file(&self.path(number), &batch.bytes)?;
        self.waiting.push_back(Waiting { number, bytes, rows: Some(batch.rows) });
        self.bytes += bytes;
        Ok(number)
    }

    /// The oldest batch. One that cannot be read is given up.
    pub fn oldest(&mut self) -> Option<Next> {
        while let Some(oldest) = self.waiting.front().copied() {
            match fs::read(self.path(oldest.number)) {
                Ok(payload) => return Some(Next { number: oldest.number, payload: payload.into() }),
                Err(error) => {
                    warn!("batch {} cannot be read and is given up: {error}", oldest.number);
                    self.forget(oldest.number);
                    self.dropped += 1;
                }
            }
        }
        None
    }

    /// Removes a batch and gives how many rows it had, if this process made it.
    pub fn remove(&mut self, number: u64) -> io::Result<Option<usize>> {
        match fs::remove_file(self.path(number)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(self.forget(number).and_then(|one| one.rows))
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Batches given up.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts a batch that could not be kept at all.
    pub fn count_dropped(&mut self) {
        self.dropped += 1;
    }

    fn forget(&mut self, number: u64) -> Option<Waiting> {
        let at = self.waiting.iter().position(|one| one.number == number)?;
        let one = self.waiting.remove(at)?;
        self.bytes -= one.bytes.min(self.bytes);
        Some(one)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.batch"))
    }
}

fn number_of(path: &Path) -> Option<u64> {
    if path.extension()? != "batch" {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(size: usize) -> Encoded {
        Encoded { rows: 3, bytes: vec![7; size] }
    }

    fn next_number(spool: &mut Spool) -> Option<u64> {
        spool.oldest().map(|next| next.number)
    }

    #[test]
    fn batches_leave_in_order_and_only_when_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(folder.path(), 1_000).expect("opens");
        assert_eq!((spool.push(&batch(10)).ok(), spool.push(&batch(20)).ok()), (Some(1), Some(2)));
        assert_eq!((next_number(&mut spool), next_number(&mut spool)), (Some(1), Some(1)));
        assert_eq!(spool.remove(1).expect("removed"), Some(3));
        assert_eq!(spool.oldest().map(|next| next.payload.len()), Some(20));
    }

    #[test]
    fn numbers_are_never_used_again_also_after_a_restart_with_an_empty_spool() {
        let folder = tempfile::tempdir().expect("a folder");
        for expected in 1..5 {
            let mut spool = Spool::open(folder.path(), 1_000).expect("opens");
            assert_eq!(spool.push(&batch(10)).expect("kept"), expected);
            spool.remove(expected).expect("removed");
        }
    }

    #[test]
    fn what_an_earlier_process_left_is_sent_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(folder.path(), 1_000).expect("opens");
        (0..11).for_each(|_| drop(spool.push(&batch(10))));
        drop(spool);
        let mut spool = Spool::open(folder.path(), 1_000).expect("opens");
        assert_eq!((spool.len(), next_number(&mut spool)), (11, Some(1)));
        assert_eq!(spool.push(&batch(1)).expect("kept"), 12);
    }

    #[test]
    fn the_oldest_give_way_and_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(folder.path(), 100).expect("opens");
        (0..5).for_each(|_| drop(spool.push(&batch(40))));
        assert_eq!((spool.len(), spool.dropped(), next_number(&mut spool)), (2, 3, Some(4)));
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 3, "two batches and the count");
    }

    #[test]
    fn a_damaged_count_is_an_error_not_a_new_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("last-number"), "what").expect("written");
        assert!(Spool::open(folder.path(), 100).is_err());
    }
}
