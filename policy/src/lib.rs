//! What a ruleset means: pure functions from the state of an org to what a device does with a packet.
//!
//! Reading order: [`compile`] (org state -> ruleset of one device), [`evaluate`] (ruleset and packet -> decision, the
//! definition of what rules mean), [`Evaluator`] (the same answer, fast), [`nft`] (ruleset -> nftables script, the same
//! answer in the kernel). Inside, a rule is a set of boxes in the space of packets (`region`), and `tree` finds the
//! boxes that overlap another.
//!
//! Invariants, each kept by a test:
//! - equal states compile to equal rulesets (`compile`);
//! - `evaluate`, `Evaluator` and the kernel agree on every packet (`evaluator`, `nft::steps`, `tests/kernel.rs`);
//! - an empty list of addresses matches nothing, never everything (`compile`).

#[cfg(test)]
extern crate self as policy;

mod compile;
mod evaluate;
mod region;
mod tree;
mod evaluator;
pub mod nft;

#[cfg(test)]
mod generated;

pub use compile::{DEFAULT_ACTION, compile};
pub use evaluate::{Decision, Packet, evaluate};
pub use evaluator::Evaluator;
