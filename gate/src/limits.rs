//! Limits: how many requests each org may send, how many streams it may hold, and how often an address may guess.
//!
//! All is counted in memory. The counts of a day are shared among replicas and outlive restarts: whoever runs the
//! service calls [`Limits::drain`] now and then, adds what it says to a store, and tells [`Limits::learn`] the sums.

mod day;
mod figures;
mod shards;
mod standing;
mod window;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use schemas::id::OrgId;
use schemas::plan::Plan;
use schemas::reason::Reason;
use serde_json::json;
use tokio::sync::Notify;

use crate::clock::now;
use crate::keyring::Keyring;
use crate::problem::Problem;
use day::Day;
use figures::PlanFigures;
use shards::Shards;
use standing::Left;
use window::Window;

pub(crate) use figures::Figures;
pub(crate) use standing::{LIMIT, POLICY, Standing, X_LIMIT, X_REMAINING, X_RESET};

/// More orgs than this are not counted at one time.
const ORGS_MAX: usize = 1 << 20;
/// More addresses than this are not counted at one time.
const SOURCES_MAX: usize = 1 << 16;
/// Counts of past days that wait for the store.
const OWED_MAX: usize = 1 << 16;

/// What a request counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// What reads traffic: each such request may go through many files.
    Traffic,
    Other,
}

impl Class {
    /// The class of a path, under whatever base it is.
    pub(crate) fn of(path: &str) -> Self {
        let mut words = path.split('/').skip(1).peekable();
        words.next_if_eq(&"api");
        words.next_if_eq(&"v1");
        match words.next() {
            Some("traffic" | "sql") => Self::Traffic,
            Some(_) | None => Self::Other,
        }
    }
}

/// The counts of all orgs, shared by whoever holds a clone.
#[derive(Debug, Clone)]
pub struct Limits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keyring: Keyring,
    figures: Figures,
    orgs: Shards<OrgId, OrgCounts>,
    failures: Shards<IpAddr, Window>,
    owed: Mutex<Vec<(OrgId, NaiveDate, u64)>>,
    /// Told when an org is counted of which the store was never asked.
    first_sight: Notify,
}

#[derive(Debug, Default)]
struct OrgCounts {
    other: Window,
    traffic: Window,
    day: Day,
    streams: u32,
}

/// What an org may ask of the API, and what it asked so far, as far as is known to this process.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Usage {
    pub plan: Plan,
    pub requests_per_minute: u32,
    /// `null` is no limit.
    pub requests_per_day: Option<u32>,
    /// Counted only where there is a limit.
    pub requests_today: u64,
    pub traffic_per_minute: u32,
    pub streams_max: u32,
    pub streams: u32,
}

/// The right to hold a stream; it ends when this is dropped.
#[derive(Debug)]
pub struct StreamSlot {
    limits: Limits,
    org: OrgId,
}

impl Limits {
    pub(crate) fn new(keyring: Keyring, figures: Figures) -> Self {
        Self(Arc::new(Inner {
            keyring,
            figures,
            orgs: Shards::new(ORGS_MAX),
            failures: Shards::new(SOURCES_MAX),
            owed: Mutex::default(),
            first_sight: Notify::new(),
        }))
    }

    /// Takes one of the streams that an org may hold at one time.
    pub fn stream(&self, org: &OrgId) -> Result<StreamSlot, Problem> {
        let limit = self.figures(org).streams;
        let at = now();
        let taken = self.0.orgs.with(
            org,
            |counts| counts.is_idle(at),
            |counts| {
                let free = counts.streams < limit;
                counts.streams += u32::from(free);
                free
            },
        );
        if taken {
            return Ok(StreamSlot { limits: self.clone(), org: org.clone() });
        }
        let message = format!("the org may hold {limit} streams at one time");
        Err(Problem::new(Reason::TooManyStreams, message).details(json!({"limit": limit})).retry_after(5))
    }

    /// Counts a request from an address whose credentials do not hold; refuses it if it is one too many. Routes that
    /// take credentials in their body call this when they refuse them.
    pub fn failed_attempt(&self, source: IpAddr) -> Result<(), Problem> {
        self.failed_attempt_at(source, now())
    }

    /// What to tell the store of each org, and to learn from it: requests since the last time that the store was told
    /// of. Also forgets what is idle.
    pub fn drain(&self) -> Vec<(OrgId, NaiveDate, u64)> {
        self.drain_at(now())
    }

    /// Takes the sum of an org's requests of a day, as the store has it after it was told what [`Limits::drain`] said.
    pub fn learn(&self, org: &OrgId, day: NaiveDate, total: u64) {
        self.0.orgs.with_known(org, |counts| counts.day.learn(day, total));
        self.owed().retain(|(owing, date, _)| (owing, *date) != (org, day));
    }

    /// Waits for an org with a daily limit of which the store was never asked.
    pub async fn first_sight(&self) {
        self.0.first_sight.notified().await;
    }

    /// What an org uses of its plan.
    pub fn usage(&self, org: &OrgId) -> Usage {
        let plan = self.0.keyring.org(org).plan;
        let (figures, today) = (self.0.figures.of(plan), now().date_naive());
        let count = |counts: &mut OrgCounts| (counts.day.count_of(today), counts.streams);
        let (requests_today, streams) = self.0.orgs.with_known(org, count).unwrap_or_default();
        Usage {
            plan,
            requests_per_minute: figures.per_minute,
            requests_per_day: figures.per_day,
            requests_today,
            traffic_per_minute: figures.traffic_per_minute,
            streams_max: figures.streams,
            streams,
        }
    }

    /// Counts a request of an org and says where the org stands.
    pub(crate) fn count(&self, org: &OrgId, class: Class, now: DateTime<Utc>) -> Standing {
        let figures = self.figures(org);
        let (standing, owed, is_new) =
            self.0.orgs.with(org, |counts| counts.is_idle(now), |counts| counts.count(&figures, class, now));
        if let Some((date, owed)) = owed {
            let mut all = self.owed();
            if all.len() < OWED_MAX {
                all.push((org.clone(), date, owed));
            }
        }
        if is_new {
            self.0.first_sight.notify_one();
        }
        standing
    }

    fn failed_attempt_at(&self, source: IpAddr, now: DateTime<Utc>) -> Result<(), Problem> {
        let (limit, now_ms) = (self.0.figures.failures_per_minute, millis(now));
        let source = subscriber(source);
        let taken = self.0.failures.with(&source, |window| window.is_idle(now_ms), |window| window.take(limit, now_ms));
        if taken.granted {
            return Ok(());
        }
        let message = format!("more than {limit} requests with bad credentials came from your address in a minute");
        let wait_s = taken.reset_ms.saturating_sub(now_ms).div_ceil(1_000);
        Err(Problem::new(Reason::TooManyFailedAttempts, message).retry_after(u32::try_from(wait_s).unwrap_or(60)))
    }

    fn drain_at(&self, now: DateTime<Utc>) -> Vec<(OrgId, NaiveDate, u64)> {
        self.0.failures.sweep(|window| window.is_idle(millis(now)), |_, _| ());
        // What the store was told and did not confirm stays until it is learned.
        let mut told = self.owed().clone();
        let tell = |org: &OrgId, counts: &mut OrgCounts| {
            told.extend(counts.day.drain().map(|(date, requests)| (org.clone(), date, requests)));
        };
        self.0.orgs.sweep(|counts| counts.is_idle(now), tell);
        told
    }

    fn figures(&self, org: &OrgId) -> PlanFigures {
        self.0.figures.of(self.0.keyring.org(org).plan)
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, Vec<(OrgId, NaiveDate, u64)>> {
        self.0.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrgCounts {
    /// Counts a request. Also says what is owed to the store of a day that is over, and whether the store was never
    /// asked about this org.
    fn count(
        &mut self,
        figures: &PlanFigures,
        class: Class,
        now: DateTime<Utc>,
    ) -> (Standing, Option<(NaiveDate, u64)>, bool) {
        let (minute_name, limit, window) = match class {
            Class::Traffic => ("traffic", figures.traffic_per_minute, &mut self.traffic),
            Class::Other => ("minute", figures.per_minute, &mut self.other),
        };
        let day_limit = figures.per_day.filter(|_| class == Class::Other);
        let owed = day_limit.and_then(|_| self.day.turn(now.date_naive()));
        let was_empty = self.day.count() == 0;
        let day_is_over = day_limit.is_some_and(|limit| self.day.count() >= u64::from(limit));
        // What the day refuses does not use up the minute.
        let now_ms = millis(now);
        let taken = if day_is_over { window.look(limit, now_ms) } else { window.take(limit, now_ms) };
        let refused = match (day_is_over, taken.granted) {
            (true, _) => Some(Reason::DailyQuotaExhausted),
            (false, false) => Some(Reason::RateLimited),
            (false, true) => None,
        };
        let minute = Left { limit, remaining: taken.remaining, reset_s: taken.reset_ms.div_ceil(1_000) };
        let day = day_limit.map(|limit| {
            if refused.is_none() {
                self.day.take(limit);
            }
            let used = u32::try_from(self.day.count()).unwrap_or(u32::MAX);
            Left { limit, remaining: limit.saturating_sub(used), reset_s: midnight_after(now) }
        });
        let is_new = day.is_some() && was_empty && self.day.is_unknown();
        (Standing { minute_name, minute, day, refused, now_s: seconds(now) }, owed, is_new)
    }

    fn is_idle(&self, now: DateTime<Utc>) -> bool {
        let now_ms = millis(now);
        self.streams == 0
            && self.other.is_idle(now_ms)
            && self.traffic.is_idle(now_ms)
            && self.day.is_idle(now.date_naive())
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.limits.0.orgs.with_known(&self.org, |counts| counts.streams = counts.streams.saturating_sub(1));
    }
}

/// Who an address stands for: whoever has one address of IPv6 has all of its /64.
fn subscriber(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
    }
}

fn millis(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp_millis()).unwrap_or(0)
}

fn seconds(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp()).unwrap_or(0)
}

fn midnight_after(now: DateTime<Utc>) -> u64 {
    seconds(now.date_naive().and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1))
}

#[cfg(test)]
mod tests;
