//! The only place where the agent reads the clock.

use chrono::{DateTime, Utc};

#[expect(clippy::disallowed_methods, reason = "packets, reports and heartbeats carry the time at which they happen")]
pub(crate) fn now() -> DateTime<Utc> {
    chrono::Utc::now()
}

/// The time in microseconds since 1970, as flows count it.
pub(crate) fn now_us() -> i64 {
    now().timestamp_micros()
}
