//! The journals against real servers: one contract for all of them, then what only EventStoreDB has.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod nats;
mod rig;
#[cfg(feature = "eventstore")]
mod esdb_proto;
#[cfg(feature = "eventstore")]
mod esdb_stub;

mod contract;
#[cfg(feature = "eventstore")]
mod commands;
#[cfg(feature = "eventstore")]
mod outages;
#[cfg(feature = "eventstore")]
mod relay;
#[cfg(feature = "eventstore")]
mod shape;
#[cfg(feature = "eventstore")]
mod python;
