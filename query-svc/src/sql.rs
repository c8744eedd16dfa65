//! SQL over one org: what it is, what happened to it and what passed through it.
//!
//! Reading order: [`statement`] (what is asked), [`expansion`] (how large that is), [`engine`] (limits and
//! execution), [`tables`] (what may be asked of),
//! [`flows`] with [`flow_files`], [`functions`] and [`rewrite`] (the flow table), [`columns`], [`rows`] and [`event_rows`] (the
//! others), [`format`] (the answer) and [`refusal`] (no answer).

pub mod statement;
mod expansion;
pub mod engine;
pub mod source;
mod tables;
mod flow_files;
mod flows;
pub(crate) mod functions;
mod rewrite;
mod columns;
mod device_columns;
mod rows;
mod event_rows;
mod memory;
pub mod format;
pub mod refusal;

pub use engine::{Answer, Engine, Limits, Stats};
pub use flow_files::FlowFiles;
pub use format::Format;
pub use refusal::SqlError;
pub(crate) use source::Flows;
pub use source::Source;
pub use statement::Query;
