//! What an org looks like: its read models, events, files and devices, held in memory while somebody asks.

pub mod models;
pub mod events;
pub(crate) mod presence;
pub(crate) mod held;
mod feed;
pub(crate) mod aside;
pub(crate) mod past;
pub(crate) mod parked;
pub(crate) mod org;
pub(crate) mod views;

pub(crate) use org::OrgView;
pub(crate) use views::Views;
