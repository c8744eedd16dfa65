//! The clock and the dice: the only place of the write side that reads either.

use chrono::{DateTime, SubsecRound, Utc};
use schemas::id::Ulid;

/// The time, in microseconds: what the stored form keeps.
#[expect(clippy::disallowed_methods, reason = "this is where the write side learns the time")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A new id, ordered by time.
pub fn random_ulid() -> Ulid {
    Ulid::from_parts(u64::try_from(now().timestamp_millis()).unwrap_or_default(), rand::random())
}

/// The id of a command whose caller did not choose one.
pub fn random_command_id() -> String {
    format!("cmd_{}", random_ulid().to_string().to_ascii_lowercase())
}
