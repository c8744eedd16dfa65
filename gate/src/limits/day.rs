//! A day of requests: what other replicas counted, and what this one has yet to tell them.

use chrono::NaiveDate;

/// The requests of one day of UTC. What is counted here is told to the store now and then, which answers with the sum of
/// all replicas.
#[derive(Debug, Clone, Default)]
pub(super) struct Day {
    date: NaiveDate,
    /// What the store said last; `None` until it said anything of this day.
    learned: Option<u64>,
    /// What is on its way to the store.
    told: u64,
    /// What the store has not heard of.
    fresh: u64,
}

impl Day {
    /// Begins another day. Says what the store has not heard of the old one.
    pub(super) fn turn(&mut self, today: NaiveDate) -> Option<(NaiveDate, u64)> {
        if today <= self.date {
            return None;
        }
        let (date, owed) = (self.date, self.told + self.fresh);
        *self = Self { date: today, ..Self::default() };
        (owed > 0).then_some((date, owed))
    }

    /// The requests of `date`, as far as they are known here.
    pub(super) fn count_of(&self, date: NaiveDate) -> u64 {
        if date == self.date { self.count() } else { 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.learned.unwrap_or(0) + self.told + self.fresh
    }

    /// Counts a request, if there is room for it.
    pub(super) fn take(&mut self, limit: u32) -> bool {
        let granted = self.count() < u64::from(limit);
        self.fresh += u64::from(granted);
        granted
    }

    /// Whether the store was never asked about this day.
    pub(super) fn is_unknown(&self) -> bool {
        self.learned.is_none() && self.date != NaiveDate::default()
    }

    /// What to tell the store: also nothing, if only to hear what it knows.
    pub(super) fn drain(&mut self) -> Option<(NaiveDate, u64)> {
        self.told += std::mem::take(&mut self.fresh);
        (self.told > 0 || self.is_unknown()).then_some((self.date, self.told))
    }

    /// Takes the sum that the store said after it was told `told`.
    pub(super) fn learn(&mut self, date: NaiveDate, total: u64) {
        if date == self.date {
            self.told = 0;
            // A store that lost its tail says less than is known.
            self.learned = Some(self.learned.unwrap_or(0).max(total));
        }
    }

    /// Whether nothing would be lost if this were forgotten.
    pub(super) fn is_idle(&self, today: NaiveDate) -> bool {
        let owes = self.told + self.fresh > 0;
        !owes && (self.date < today || self.count() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    fn today() -> Day {
        let mut day = Day::default();
        assert_eq!(day.turn(date(22)), None);
        day
    }

    #[test]
    fn what_others_counted_counts_here() {
        let mut day = today();
        assert!(day.take(5) && day.take(5));
        assert_eq!(day.drain(), Some((date(22), 2)));
        // A request that comes while the store is being told.
        assert!(day.take(5));
        day.learn(date(22), 4);
        assert_eq!(day.count(), 5);
        assert!(!day.take(5));
        assert_eq!(day.drain(), Some((date(22), 1)));
    }

    #[test]
    fn what_the_store_was_not_told_is_told_again() {
        let mut day = today();
        day.take(5);
        assert_eq!(day.drain(), Some((date(22), 1)));
        day.take(5);
        assert_eq!(day.drain(), Some((date(22), 2)));
        day.learn(date(22), 2);
        assert_eq!(day.drain(), None);
        assert_eq!(day.count(), 2);
    }

    #[test]
    fn a_day_that_nobody_asked_about_is_asked_for() {
        let mut day = today();
        assert_eq!(day.drain(), Some((date(22), 0)));
        day.learn(date(22), 0);
        assert_eq!(day.drain(), None);
    }

    #[test]
    fn midnight_begins_anew_and_forgets_nothing() {
        let mut day = today();
        day.take(5);
        assert_eq!(day.turn(date(23)), Some((date(22), 1)));
        assert_eq!(day.count(), 0);
        // The answer about yesterday is not taken for today's.
        day.learn(date(22), 9);
        assert_eq!(day.count(), 0);
        assert_eq!(day.turn(date(22)), None);
    }

    #[test]
    fn only_a_day_that_is_over_or_empty_is_forgotten() {
        let mut day = today();
        day.take(5);
        assert!(!day.is_idle(date(23)));
        day.drain();
        day.learn(date(22), 1);
        assert!(!day.is_idle(date(22)) && day.is_idle(date(23)));
    }
}
