//! Standings: where an org stands with its limits, as the headers of an answer tell.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use schemas::reason::Reason;
use serde_json::json;

use crate::problem::Problem;

pub(crate) const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(crate) const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(crate) const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

const MINUTE_S: u32 = 60;
const DAY_S: u32 = 24 * 60 * 60;

/// Where a caller stands with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// When there is more room again, in seconds since the epoch.
    pub(super) reset_s: u64,
}

/// Where a caller stands with all limits that a request counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The name of the limit of a minute.
    pub(super) minute_name: &'static str,
    pub(super) minute: Left,
    pub(super) day: Option<Left>,
    pub(super) refused: Option<Reason>,
    pub(super) now_s: u64,
}

impl Standing {
    /// The limit that will be felt first.
    fn tightest(&self) -> Left {
        let by_reason = match self.refused {
            Some(Reason::DailyQuotaExhausted) => self.day,
            Some(_) => Some(self.minute),
            None => None,
        };
        by_reason.or_else(|| self.day.filter(|day| day.remaining <= self.minute.remaining)).unwrap_or(self.minute)
    }

    fn seconds_until(&self, at_s: u64) -> u32 {
        u32::try_from(at_s.saturating_sub(self.now_s)).unwrap_or(u32::MAX).max(1)
    }

    /// Tells the caller; whatever the answer is.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let tightest = self.tightest();
        headers.insert(X_LIMIT, HeaderValue::from(tightest.limit));
        headers.insert(X_REMAINING, HeaderValue::from(tightest.remaining));
        headers.insert(X_RESET, HeaderValue::from(tightest.reset_s));
        let (name, minute) = (self.minute_name, self.minute);
        let mut policy = format!("\"{name}\";q={};w={MINUTE_S}", minute.limit);
        let mut limit = format!("\"{name}\";r={};t={}", minute.remaining, self.seconds_until(minute.reset_s));
        if let Some(day) = self.day {
            use std::fmt::Write;
            let _ = write!(policy, ", \"day\";q={};w={DAY_S}", day.limit);
            let _ = write!(limit, ", \"day\";r={};t={}", day.remaining, self.seconds_until(day.reset_s));
        }
        for (name, text) in [(POLICY, policy), (LIMIT, limit)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }

    /// Why the request is not answered, if it is not.
    pub(crate) fn refusal(&self) -> Option<Problem> {
        let reason = self.refused?;
        let (left, window) = (self.tightest(), if reason == Reason::DailyQuotaExhausted { "day" } else { "minute" });
        let message = format!("the org may send {} requests of this class in a {window}", left.limit);
        let details = json!({"limit": left.limit, "window": window, "reset": left.reset_s});
        Some(Problem::new(reason, message).details(details).retry_after(self.seconds_until(left.reset_s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn written(standing: &Standing) -> Vec<String> {
        let mut headers = HeaderMap::new();
        standing.write(&mut headers);
        [X_LIMIT, X_REMAINING, X_RESET, POLICY, LIMIT].map(|name| headers[name].to_str().unwrap().to_owned()).to_vec()
    }

    fn standing(minute: u32, day: Option<u32>, refused: Option<Reason>) -> Standing {
        let left = |limit, remaining, after| Left { limit, remaining, reset_s: NOW + after };
        let day = day.map(|remaining| left(1_000, remaining, 5_000));
        Standing { minute_name: "minute", minute: left(60, minute, 42), day, refused, now_s: NOW }
    }

    #[test]
    fn both_families_of_headers_tell_the_same() {
        let minute = written(&standing(59, Some(999), None));
        assert_eq!(minute[..3], ["60", "59", "1795000042"]);
        assert_eq!(minute[3], "\"minute\";q=60;w=60, \"day\";q=1000;w=86400");
        assert_eq!(minute[4], "\"minute\";r=59;t=42, \"day\";r=999;t=5000");
        assert_eq!(written(&standing(59, None, None))[4], "\"minute\";r=59;t=42");
    }

    #[test]
    fn the_tightest_limit_is_shown() {
        assert_eq!(written(&standing(59, Some(3), None))[..3], ["1000", "3", "1795005000"]);
        assert_eq!(written(&standing(0, Some(0), Some(Reason::RateLimited)))[0], "60");
        assert_eq!(written(&standing(0, Some(0), Some(Reason::DailyQuotaExhausted)))[0], "1000");
    }

    #[test]
    fn who_is_refused_learns_when_to_come_back() {
        assert_eq!(standing(1, Some(1), None).refusal(), None);
        let problem = standing(0, Some(5), Some(Reason::RateLimited)).refusal().unwrap();
        assert_eq!((problem.reason, problem.retry_after_s), (Reason::RateLimited, Some(42)));
        let problem = standing(5, Some(0), Some(Reason::DailyQuotaExhausted)).refusal().unwrap();
        assert_eq!((problem.reason, problem.retry_after_s), (Reason::DailyQuotaExhausted, Some(5_000)));
    }
}
