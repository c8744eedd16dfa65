//! The front door over real HTTP: a server on loopback, and a client that knocks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;
mod refusals;
mod callers;
mod answers;
mod jwts;
mod key_sources;
mod documents;
mod stops;
mod settings;
mod limits;
mod streams;
mod contract;
mod codings;
mod cross_origin;
mod sign_ins;
