//! The agent on a device: enrols it, keeps its firewall rules in force, and tells the control plane who talked to whom.
//!
//! Reading order: [`agent`] (how the parts are put together), the control side ([`config`], [`identity`], [`enrol`],
//! [`signed`], `control`, `names`, [`enforce`], [`confirm`]), then the way of a packet: `capture` or [`replay`], [`packet`],
//! [`flow_table`], [`verdict`] (with [`nflog`], [`routes`] and [`running`]), [`batch`], [`spool`].
//!
//! Invariants: a config that does not verify, or is older than the one in force, is never applied. A ruleset over
//! which the control plane cannot be reached does not stay. No byte from the network can make a parser panic. Every
//! queue, table and folder is bounded, and what a bound throws away is counted.

pub mod agent;
pub mod config;
pub mod error;
mod clock;
pub mod identity;
pub mod enrol;
pub mod signed;
mod control;
pub mod running;
mod names;
pub mod enforce;
pub mod confirm;
mod socket;
mod capture;
mod live;
pub mod replay;
mod replayed;
pub mod packet;
pub mod flow_table;
pub mod routes;
pub mod nflog;
pub mod verdict;
pub mod batch;
pub mod spool;
mod pipeline;

pub use agent::Agent;
pub use config::Config;
pub use error::Error;
