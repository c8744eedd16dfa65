//! The words all Netkeep services speak: resources, commands, events, subjects, device configs, flows and errors.
//!
//! Reading order: [`id`] and [`text`] (the atoms), the resources ([`zone`], [`rule`], [`setup_key`], [`device`],
//! [`api_token`], [`user`], [`org`]), then [`command`] (what may be asked), [`event`] and [`commit`] (what
//! happened), [`reason`] (why not), and the wires: [`subjects`], [`config`], [`agent`], [`flow`], [`files`].
//!
//! Invariants: no I/O, no clock, no randomness and no async here; a type that is serialized is a contract, so its
//! stored form never changes (see `golden/`).

pub mod id;
pub mod text;
pub mod digest;
pub mod address;
pub mod service;
pub mod kind;
pub mod access;
pub mod zone;
pub mod rule;
pub mod setup_key;
pub mod device;
pub mod api_token;
pub mod user;
pub mod org;
pub mod command;
pub mod event;
pub mod commit;
pub mod credential;
pub mod reason;
pub mod subjects;
pub mod config;
pub mod agent;
pub mod flow;
pub mod files;
pub mod state;
pub mod view;
