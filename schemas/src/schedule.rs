//! Schedules: the hours of the week in which a rule holds, in the time of a place.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveTime, Offset, TimeZone, Timelike, Utc, Weekday};
use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// When a rule holds: on these days, from one time of day up to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Empty means every day. A span over midnight counts for the day on which it begins.
    #[serde(default)]
    pub days: Vec<Day>,
    #[serde(default)]
    #[schema(default = "00:00")]
    pub from: TimeOfDay,
    /// Not after `from` means on the next day; equal to `from` means the whole day.
    #[serde(default)]
    #[schema(default = "00:00")]
    pub to: TimeOfDay,
    #[serde(default)]
    #[schema(default = "UTC")]
    pub time_zone: Zone,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    #[serde(alias = "monday")]
    Mon,
    #[serde(alias = "tuesday")]
    Tue,
    #[serde(alias = "wednesday")]
    Wed,
    #[serde(alias = "thursday")]
    Thu,
    #[serde(alias = "friday")]
    Fri,
    #[serde(alias = "saturday")]
    Sat,
    #[serde(alias = "sunday")]
    Sun,
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Mon,
            Self::Tue => Weekday::Tue,
            Self::Wed => Weekday::Wed,
            Self::Thu => Weekday::Thu,
            Self::Fri => Weekday::Fri,
            Self::Sat => Weekday::Sat,
            Self::Sun => Weekday::Sun,
        }
    }
}

/// A time of day to the minute. In JSON `"08:30"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    minutes: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time of day from 00:00 to 23:59, got {0:?}")]
pub struct BadTimeOfDay(String);

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(chrono_tz::Tz);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time zone like Europe/Berlin or UTC, got {0:?}")]
pub struct BadZone(String);

impl Schedule {
    /// Whether the rule holds at this time.
    pub fn holds(&self, at: DateTime<Utc>) -> bool {
        let local = at.with_timezone(&self.time_zone.0);
        let minutes = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0);
        let (from, to) = (self.from.minutes, self.to.minutes);
        let on = |day: Weekday| self.days.is_empty() || self.days.iter().any(|named| named.weekday() == day);
        let today = local.weekday();
        if from < to {
            return on(today) && from <= minutes && minutes < to;
        }
        (minutes >= from && on(today)) || (minutes < to && on(today.pred()))
    }

    /// The first time after this one at which it may begin or cease to hold.
    pub fn next_change(&self, after: DateTime<Utc>) -> DateTime<Utc> {
        let today = after.with_timezone(&self.time_zone.0).date_naive();
        let days = (-1..=8).filter_map(|days| today.checked_add_signed(Duration::days(days)));
        let times = days.flat_map(|day| [self.from, self.to].map(|time| self.time_zone.instants(day, time)));
        let shift = self.time_zone.next_shift(after, after + Duration::days(9));
        let next = times.flatten().chain(shift).filter(|time| *time > after).min();
        next.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl Zone {
    /// When it is this time there: once, not at all or twice where clocks are changed.
    fn instants(self, day: NaiveDate, time: TimeOfDay) -> Vec<DateTime<Utc>> {
        let minutes = u32::from(time.minutes);
        let Some(time) = NaiveTime::from_hms_opt(minutes / 60, minutes % 60, 0) else { return Vec::new() };
        let found = self.0.from_local_datetime(&day.and_time(time));
        [found.earliest(), found.latest()].into_iter().flatten().map(|time| time.with_timezone(&Utc)).collect()
    }

    /// When clocks are changed there next, to the second.
    fn next_shift(self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = |second: i64| {
            let time = DateTime::from_timestamp(second, 0)?.naive_utc();
            Some(self.0.offset_from_utc_datetime(&time).fix().local_minus_utc())
        };
        let before = offset(after.timestamp())?;
        let (mut low, mut high) = (after.timestamp(), until.timestamp());
        if offset(high)? == before {
            return None;
        }
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if offset(middle)? == before { low = middle } else { high = middle }
        }
        DateTime::from_timestamp(high, 0)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(chrono_tz::Tz::UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for Zone {
    type Err = BadZone;

    fn from_str(given: &str) -> Result<Self, BadZone> {
        given.parse().map(Self).map_err(|_| BadZone(given.chars().take(60).collect()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl FromStr for TimeOfDay {
    type Err = BadTimeOfDay;

    fn from_str(given: &str) -> Result<Self, BadTimeOfDay> {
        let two = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten()
        };
        let parts = given.split_once(':').and_then(|(hours, minutes)| two(hours).zip(two(minutes)));
        match parts {
            Some((hours @ 0..=23, minutes @ 0..=59)) => Ok(Self { minutes: hours * 60 + minutes }),
            Some(_) | None => Err(BadTimeOfDay(given.chars().take(20).collect())),
        }
    }
}

as_text!(TimeOfDay, "TimeOfDay", "^([01][0-9]|2[0-3]):[0-5][0-9]$");
as_text!(Zone, "TimeZone", "^[A-Za-z0-9_+/-]{1,40}$");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(json: &str) -> Schedule {
        serde_json::from_str(json).expect(json)
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    #[test]
    fn office_hours_are_those_of_the_place() {
        let office = schedule(
            r#"{"days":["mon","tue","wed","thu","fri"],"from":"08:00","to":"17:00","time_zone":"Europe/Berlin"}"#,
        );
        assert!(office.holds(at("2026-11-23T07:00:00Z")) && !office.holds(at("2026-11-23T06:59:59Z")));
        assert!(office.holds(at("2026-07-06T06:00:00Z")) && !office.holds(at("2026-07-06T15:00:00Z")));
        assert!(!office.holds(at("2026-11-22T10:00:00Z")), "a Sunday");
        assert_eq!(office.next_change(at("2026-11-23T07:00:00Z")), at("2026-11-23T16:00:00Z"));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = schedule(r#"{"days":["fri"],"from":"22:00","to":"06:00"}"#);
        assert!(night.holds(at("2026-11-27T23:00:00Z")) && night.holds(at("2026-11-28T05:59:00Z")));
        assert!(!night.holds(at("2026-11-27T05:00:00Z")) && !night.holds(at("2026-11-28T23:00:00Z")));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [r#"{"from":"24:00"}"#, r#"{"from":"8:00"}"#, r#"{"time_zone":"Mars/Base"}"#, r#"{"day":[]}"#] {
            assert!(serde_json::from_str::<Schedule>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_changes_before_the_next_change(
            from in 0u16..1440, to in 0u16..1440, start in 0i64..4_000_000_000, step in 0i64..1000,
        ) {
            let time_zone = "America/New_York".parse().expect("a zone");
            let [from, to] = [from, to].map(|minutes| TimeOfDay { minutes });
            let schedule = Schedule { days: vec![Day::Mon, Day::Sat], from, to, time_zone };
            let after = DateTime::from_timestamp(start, 0).expect("a time");
            let next = schedule.next_change(after);
            prop_assert!(next > after);
            let between = after + (next - after) * i32::try_from(step).expect("small") / 1000;
            prop_assert_eq!(schedule.holds(between), schedule.holds(after));
        }
    }
}
