//! NATS, and nothing else: the topology, logs with an append check, KV buckets, device traffic and auth callout.
//!
//! Reading order: [`connect`] and [`topology`], then [`log`] (EVENTS and FILES), [`bucket`] (read models and
//! credentials), [`devices`] and [`flows`] (the control plane's end), [`device`] (the device's end), [`feed`], [`quota`]
//! (requests of each org and day), [`mirror`], [`people`] and [`uses`] (keys of personal data, last uses), [`callout`]
//! (who may connect) and [`requests`] (what devices say).
//!
//! Invariants: a publish that is not known to have failed is never repeated blindly ([`log::Log::append`]); readers
//! reconnect for ever by themselves and never skip a message; one NATS account key signs what devices may do.

pub mod error;
pub mod connect;
pub mod topology;
pub mod log;
pub mod bucket;
pub mod devices;
pub mod device;
pub mod flows;
pub mod feed;
pub mod quota;
pub mod mirror;
pub mod people;
pub mod uses;
pub mod callout;
pub mod requests;

pub use connect::{Bus, BusAuth};
pub use error::{AppendError, Error};
pub use people::People;
pub use uses::Uses;
