//! The write side against real servers: one contract for all journals, what only EventStoreDB has, and devices that leave.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod nats;
mod rig;
#[cfg(feature = "eventstore")]
mod esdb_proto;
#[cfg(feature = "eventstore")]
mod esdb_stub;

mod contract;
mod ephemeral;
mod lists;
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
