//! A minute that slides: how many requests passed in the last sixty seconds.
//!
//! Requests are counted in slots of five seconds, and a slot counts until all of it is a minute old. So there are never
//! more than the limit in any sixty seconds, and whoever waits 65 has all of it again.

const SLOT_MS: u64 = 5_000;
/// A minute, and the slot that it began in.
const SLOTS: usize = 13;
const SLOTS_U64: u64 = SLOTS as u64;

/// What a window says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) granted: bool,
    pub(super) remaining: u32,
    /// When the oldest requests stop to count, in milliseconds since the epoch.
    pub(super) reset_ms: u64,
}

/// The requests of the last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    counts: [u32; SLOTS],
    total: u32,
    /// The slot of the last request, counted from the epoch.
    newest: u64,
}

impl Window {
    /// Counts a request, if there is room for it.
    pub(super) fn take(&mut self, limit: u32, now_ms: u64) -> Taken {
        let granted = self.look(limit, now_ms).remaining > 0;
        if granted {
            if let Some(count) = self.counts.get_mut(place(self.newest)) {
                *count += 1;
            }
            self.total += 1;
        }
        Taken { granted, remaining: limit.saturating_sub(self.total), reset_ms: self.reset_ms() }
    }

    /// What is left, without counting anything.
    pub(super) fn look(&mut self, limit: u32, now_ms: u64) -> Taken {
        self.advance(now_ms);
        Taken { granted: false, remaining: limit.saturating_sub(self.total), reset_ms: self.reset_ms() }
    }

    /// Whether nothing counts any more.
    pub(super) fn is_idle(&self, now_ms: u64) -> bool {
        self.total == 0 || slots_between(self.newest, now_ms / SLOT_MS) >= SLOTS_U64
    }

    /// Forgets what is older than a minute.
    fn advance(&mut self, now_ms: u64) {
        let slot = now_ms / SLOT_MS;
        if slots_between(self.newest, slot) >= SLOTS_U64 {
            *self = Self { newest: slot, ..Self::default() };
        }
        // A clock that was set back by less than a minute stands still here.
        while self.newest < slot {
            self.newest += 1;
            if let Some(count) = self.counts.get_mut(place(self.newest)) {
                self.total -= *count;
                *count = 0;
            }
        }
    }

    fn reset_ms(&self) -> u64 {
        let ages = (0..SLOTS_U64).rev().filter_map(|age| self.newest.checked_sub(age));
        let counts = |slot: &u64| self.counts.get(place(*slot)).is_some_and(|count| *count > 0);
        let oldest = ages.into_iter().find(counts).unwrap_or(self.newest);
        (oldest + SLOTS_U64) * SLOT_MS
    }
}

/// How far two slots are apart, in either direction: a clock may be set back.
fn slots_between(one: u64, other: u64) -> u64 {
    one.abs_diff(other)
}

fn place(slot: u64) -> usize {
    usize::try_from(slot % SLOTS_U64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: u64 = 1_795_000_000_000;

    #[test]
    fn what_is_left_is_told_and_comes_back() {
        let mut window = Window::default();
        let first = window.take(2, NOON);
        assert_eq!(first, Taken { granted: true, remaining: 1, reset_ms: NOON + 65_000 });
        assert!(window.take(2, NOON + 30_000).granted);
        let refused = window.take(2, NOON + 64_999);
        assert_eq!(refused, Taken { granted: false, remaining: 0, reset_ms: NOON + 65_000 });
        assert_eq!(window.take(2, NOON + 65_000).reset_ms, NOON + 95_000);
    }

    #[test]
    fn a_clock_that_is_set_back_by_an_hour_begins_anew() {
        let mut window = Window::default();
        assert!(window.take(1, NOON).granted);
        assert!(!window.take(1, NOON - 10_000).granted);
        assert!(window.take(1, NOON - 3_600_000).granted);
    }

    #[test]
    fn a_limit_of_nothing_lets_nothing_pass() {
        assert!(!Window::default().take(0, NOON).granted);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_pass_in_any_minute(
            limit in 1u32..20,
            gaps in proptest::collection::vec(prop_oneof![0u64..50, 0u64..9_000, Just(60_000)], 1..300),
        ) {
            let (mut window, mut now, mut passed) = (Window::default(), NOON, Vec::new());
            for gap in gaps {
                now += gap;
                let taken = window.take(limit, now);
                if taken.granted {
                    passed.push(now);
                }
                let last_minute = passed.iter().filter(|at| now - **at < 60_000).count();
                prop_assert!(last_minute <= limit as usize);
                prop_assert_eq!(window.total, window.counts.iter().sum::<u32>());
            }
        }

        #[test]
        fn who_waits_until_the_reset_is_let_in(
            limit in 1u32..20,
            gaps in proptest::collection::vec(0u64..9_000, 1..100),
        ) {
            let (mut window, mut now) = (Window::default(), NOON);
            for gap in gaps {
                now += gap;
                let taken = window.take(limit, now);
                prop_assert!(taken.reset_ms > now && taken.reset_ms <= now + 65_000);
                if !taken.granted {
                    now = taken.reset_ms;
                    prop_assert!(window.take(limit, now).granted);
                }
            }
        }

        #[test]
        fn after_a_minute_of_silence_all_is_there_again(limit in 1u32..20, sent in 1u32..40, after in 0u64..5_000) {
            let mut window = Window::default();
            for _ in 0..sent {
                window.take(limit, NOON + after);
            }
            let later = NOON + after + 65_000;
            prop_assert!(window.is_idle(later));
            prop_assert_eq!(window.take(limit, later).remaining, limit - 1);
        }
    }
}
