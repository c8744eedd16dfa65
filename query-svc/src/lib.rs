//! Reads: REST over what an org is, audit over what happened to it, SQL over both and over its traffic.
//!
//! Reading order: [`config`], [`view`] (an org in memory, fed by pushes), [`shown`] (how each kind of resource looks),
//! [`sql`] (the query engine), [`http`] (the routes), [`service`].
//!
//! A new kind of resource costs nothing here; one that looks other than it is stored has a file in `shown/`.
//!
//! Invariants: an answer names the position that it was computed at, and a reader sees a commit whole or not at all; a
//! query reads one org and only what its caller's role may read; each limit of a query has its own reason.

mod clock;
pub mod config;
pub mod error;
pub mod view;
mod shown;
pub mod sql;
mod http;
mod service;

pub use config::Config;
pub use error::Error;
pub use service::{Deps, QuerySvc};
