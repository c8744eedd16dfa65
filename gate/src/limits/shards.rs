//! A map in many parts, so that requests of different keys seldom wait for each other. Idle entries leave.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

const SHARDS: usize = 64;
/// A part is looked through for idle entries when it has grown to this, or to twice of what was left the last time.
const SWEEP_MIN: usize = 32;

#[derive(Debug)]
pub(super) struct Shards<K, V> {
    shards: Vec<Mutex<Shard<K, V>>>,
    hasher: RandomState,
    /// Entries that one part has at most; beyond, any other makes room.
    entries_max: usize,
}

#[derive(Debug)]
struct Shard<K, V> {
    entries: HashMap<K, V>,
    sweep_at: usize,
}

impl<K: Hash + Eq + Clone, V: Default> Shards<K, V> {
    pub(super) fn new(entries_max: usize) -> Self {
        let shard = || Mutex::new(Shard { entries: HashMap::new(), sweep_at: SWEEP_MIN });
        let entries_max = (entries_max / SHARDS).max(1);
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), hasher: RandomState::new(), entries_max }
    }

    /// Works on the entry of a key, which is made if it is missing.
    pub(super) fn with<R>(&self, key: &K, is_idle: impl Fn(&V) -> bool, work: impl FnOnce(&mut V) -> R) -> R {
        let mut shard = lock(self.shard(key));
        if let Some(entry) = shard.entries.get_mut(key) {
            return work(entry);
        }
        shard.make_room(is_idle, self.entries_max);
        work(shard.entries.entry(key.clone()).or_default())
    }

    /// Works on the entry of a key, if there is one.
    pub(super) fn with_known<R>(&self, key: &K, work: impl FnOnce(&mut V) -> R) -> Option<R> {
        lock(self.shard(key)).entries.get_mut(key).map(work)
    }

    /// Works on every entry, and forgets those that are idle afterwards.
    pub(super) fn sweep(&self, is_idle: impl Fn(&V) -> bool, mut work: impl FnMut(&K, &mut V)) {
        for shard in &self.shards {
            lock(shard).entries.retain(|key, entry| {
                work(key, entry);
                !is_idle(entry)
            });
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K, V>> {
        // The map inside uses the low bits of a hash of its own.
        let index = usize::try_from(self.hasher.hash_one(key) % (SHARDS as u64)).unwrap_or(0);
        &self.shards[index]
    }
}

impl<K: Hash + Eq + Clone, V> Shard<K, V> {
    fn make_room(&mut self, is_idle: impl Fn(&V) -> bool, entries_max: usize) {
        if self.entries.len() >= self.sweep_at.min(entries_max) {
            self.entries.retain(|_, entry| !is_idle(entry));
            self.sweep_at = SWEEP_MIN.max(2 * self.entries.len());
        }
        if self.entries.len() >= entries_max
            && let Some(any) = self.entries.keys().next().cloned()
        {
            self.entries.remove(&any);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_entries_make_room_for_others() {
        let shards = Shards::<u32, bool>::new(1_000_000);
        for key in 0..100_000 {
            shards.with(&key, |busy| !busy, |_| ());
        }
        assert!(shards.len() <= SHARDS * SWEEP_MIN, "{}", shards.len());
    }

    #[test]
    fn there_are_never_more_entries_than_allowed() {
        let shards = Shards::<u32, bool>::new(6_400);
        for key in 0..100_000 {
            shards.with(&key, |busy| !busy, |busy| *busy = true);
        }
        assert!(shards.len() <= 6_400 && shards.len() > 6_000, "{}", shards.len());
        shards.sweep(|_| true, |_, _| ());
        assert_eq!(shards.len(), 0);
    }
}
