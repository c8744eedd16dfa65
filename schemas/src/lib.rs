//! The words all Netkeep services speak: resources, commands, events, subjects, device configs, flows and errors.
//!
//! Reading order: [`id`] and [`text`] (the atoms), [`resource`] (what all resources have in common, and the list of
//! them), the resources ([`zone`], [`rule`], [`device`] …), then [`command`] (what may be asked), [`event`] and
//! [`commit`] (what happened), [`state`] (what it adds up to), [`reason`] (why not), and the wires: [`subjects`],
//! [`config`], [`agent`], [`flow`], [`files`].
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
pub mod plan;
pub mod resource;
pub mod table;
pub mod domain;
pub mod selector;
pub mod schedule;
pub mod zone;
pub mod zone_policy;
pub mod address_object;
pub mod service_object;
pub mod address_list;
pub mod firewall;
pub mod rule;
pub mod nat_rule;
pub mod route;
pub mod nameserver_group;
pub mod dns_record;
pub mod dns_list;
pub mod group;
pub mod policy;
pub mod setup_key;
pub mod device;
pub mod config_template;
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
