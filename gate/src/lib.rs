//! The HTTP front door: who calls, may they, what do they want, and how the answer looks.
//!
//! Reading order: [`problem`] (how the API says no), [`keyring`], [`jwt`] and [`caller`] (who calls), [`body`], [`query`],
//! [`path`], [`write`] (what they want), [`position`], [`etag`], [`list`] (how answers look), [`openapi`] (the routes
//! and their document) and [`serve`] (the server around them).
//!
//! Invariants: a request without valid credentials never becomes a [`Caller`]; no setting turns that off. Every answer
//! carries an operation id, and every refusal is a [`Problem`] with one of the reasons of `schemas::reason`. Nothing
//! here logs a token or a body.

pub mod problem;
pub mod operation;
pub mod keyring;
pub mod jwt;
pub mod caller;
pub mod body;
pub mod query;
pub mod path;
pub mod write;
pub mod position;
pub mod etag;
pub mod list;
pub mod openapi;
pub mod serve;
mod errors;
mod roles;

pub use body::Json;
pub use caller::{Caller, Gate, GateConfig};
pub use etag::{IfNoneMatch, etagged};
pub use jwt::{ConfigError, JwksSource, JwtConfig, JwtVerifier};
pub use keyring::Keyring;
pub use list::{Fields, List, ListMeta, ListQuery, Listing, list};
pub use operation::Operation;
pub use path::Path;
pub use position::{Min, positioned};
pub use problem::{Problem, ProblemBody, ProblemDetail};
pub use query::Query;
pub use serve::{RouteTimeout, front, serve};
pub use write::{Write, WriteOptions};
