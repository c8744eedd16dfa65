//! Reads against real files and a real NATS server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod table;
mod flows;
mod limits;
mod rig;
mod reads;
mod kinds;
mod past;
mod entries;
mod orgs;
mod audit;
mod sql;
mod traffic;
