//! The only place where this crate reads the clock.

use chrono::{DateTime, Utc};

#[expect(clippy::disallowed_methods, reason = "the loops of a service read the clock")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
