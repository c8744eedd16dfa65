//! The write side: an HTTP command becomes a decision, a decision becomes a commit, a commit becomes an answer.
//!
//! Reading order: [`refusal`] and [`decide`] (the rule book), [`answer`], [`org`], [`group`] (a commit of several
//! commands), [`journal`], [`actor`] and [`orgs`] (one writer an org), then the doors: [`http`], [`reports`],
//! [`admissions`], [`ephemeral`], and [`service`] which puts it together.
//!
//! Invariants: an answer is given only for what is in the log; an append whose outcome is unknown is looked up, never
//! repeated blindly; a command id has one answer for a day; `decide` reads no clock and throws no dice.

pub mod refusal;
pub mod decide;
pub mod answer;
pub mod org;
pub mod submission;
pub mod group;
pub mod journal;
pub mod clock;
pub mod actor;
pub mod orgs;
pub mod secrets;
pub mod http;
pub mod sign_in;
pub mod reports;
pub mod admissions;
pub mod ephemeral;
pub mod service;

pub use http::EnrolmentFacts;
pub use service::{AdmissionDeps, CommandSvc, Deps};
