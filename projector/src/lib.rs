//! From what happened to what is asked for: events become read models and device configs, flow batches become a table.
//!
//! Reading order: [`Projector`] (bind and run), `views` (events to KV, with `configs` and `feed` as its reactions),
//! `presence`, then [`flow_file`] (batches to Parquet, pure), `flows` (batches to the table) and [`store`].
//!
//! Invariants, each kept by a test in `tests/`:
//! - an org's head key is written after everything it covers, the desired configs too;
//! - a reaction (config push, feed) happens once: what a restart has seen before it does not do again;
//! - an event that cannot be digested stops its org, shows in the bucket `parked`, and stops no other org;
//! - a flow row is in the table exactly once, and acknowledged only after it is durable there;
//! - a file never crosses an hour.

mod clock;
pub mod config;
mod configs;
mod counts;
mod error;
mod feed;
pub mod flow_file;
mod flows;
mod parked;
mod pending;
mod presence;
mod projector;
mod retry;
pub mod store;
mod views;

pub use config::Config;
pub use counts::Counts;
pub use error::Error;
pub use projector::{Deps, Projector};
pub use store::Store;
