//! The clock: expiry and presence depend on it.

use chrono::{DateTime, Utc};

#[expect(
    clippy::disallowed_methods,
    reason = "whether a key has expired and a device is online depends on the time of the request"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
