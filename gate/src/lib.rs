//! The HTTP front door: who calls, may they, what do they want, and how the answer looks.
//!
//! Reading order: [`problem`] (how the API says no), [`keyring`], [`jwt`], [`sign_in`], [`limits`], [`uses`], [`admission`]
//! and [`caller`] (who calls), [`body`], [`query`], [`path`], [`write`], [`dry_run`] (what they want), [`position`], [`etag`], [`list`],
//! [`filter`] (how answers look), [`openapi`] (the routes and their document) and [`serve`] (the server around them).
//!
//! Invariants: a request without valid credentials never becomes a [`Caller`]; no setting turns that off. Every answer
//! carries an operation id and the version it is in, every answer to a caller says where they stand with their limits,
//! and every refusal is a [`Problem`] with one of the reasons of `schemas::reason`. Nothing here logs a token or a body.

pub mod problem;
pub mod operation;
pub mod version;
pub mod keyring;
pub mod limits;
pub mod jwt;
pub mod sign_in;
pub mod uses;
pub mod config;
pub mod admission;
pub mod caller;
pub mod body;
pub mod query;
pub mod path;
pub mod write;
pub mod dry_run;
pub mod position;
pub mod etag;
pub mod list;
pub mod filter;
pub mod openapi;
pub mod serve;
mod clock;
mod cors;
mod envelope;
mod errors;
mod roles;
mod tally;

pub use admission::Gate;
pub use body::{Json, NdJson, from_value};
pub use caller::Caller;
pub use config::{ConfigErrors, GateConfig};
pub use dry_run::{DryRun, FieldDifference};
pub use etag::{IfNoneMatch, etagged};
pub use filter::{Filter, FilterError};
pub use jwt::{ConfigError, JwksSource, JwtConfig, JwtVerifier};
pub use keyring::{Keyring, OrgFacts, UserFacts};
pub use limits::{Limits, StreamSlot, Usage};
pub use list::{Fields, FieldsQuery, List, ListMeta, ListQuery, Listing, Selected, list, list_with_id};
pub use operation::Operation;
pub use path::Path;
pub use position::{Min, positioned};
pub use problem::{Problem, ProblemBody, ProblemDetail};
pub use query::Query;
pub use serve::{RouteTimeout, front, serve};
pub use sign_in::{SignIn, SignInHook, SignedIn};
pub use uses::{Used, Uses};
pub use write::{Write, WriteList, WriteOptions, WriteQuery};
