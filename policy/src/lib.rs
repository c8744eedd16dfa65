//! What a ruleset means: pure functions from the state of an org to what a device does with a packet.
//!
//! Reading order: [`compile`] (org state -> ruleset of one device), [`affected`] (whose ruleset an event may change),
//! [`at`] and [`resolve`] (ruleset -> what of it holds at a moment, with what DNS says), [`evaluate`] (ruleset and
//! packet -> decision, the definition of what rules mean), [`Evaluator`] (the same answer, fast), [`nft`] (ruleset ->
//! nftables script, the same answer in the kernel). Inside, `sides` turns what a rule names into intervals of addresses,
//! `region` a rule into boxes in the space of packets, and `tree` finds the boxes that overlap another.
//!
//! A device that is not approved gets no zones and no rules, and [`Observe`](schemas::device::Mode::Observe) as its
//! mode: it filters nothing and captures nothing.
//!
//! Invariants, each kept by a test:
//! - equal states compile to equal rulesets (`compile`), and so do states around an event for every device that
//!   [`affected`] does not name;
//! - `evaluate`, `Evaluator` and the kernel agree on every packet (`evaluator`, `nft::steps`, `tests/kernel.rs`);
//! - an empty set never lets anything pass: a rule that names one matches nothing (`compile`). Where it is negated, a
//!   rule that accepts matches nothing, and a rule that denies matches all. So it is with a domain without an answer.

#[cfg(test)]
extern crate self as policy;

mod compile;
mod affected;
mod moment;
mod evaluate;
mod interval;
mod sides;
mod region;
mod tree;
mod evaluator;
pub mod nft;

#[cfg(test)]
mod generated;
#[cfg(test)]
mod generated_org;

pub use affected::{Affected, affected};
pub use compile::{Compiler, DEFAULT_ACTION, compile};
pub use evaluate::{Decider, Decision, Packet, also_matched, evaluate};
pub use evaluator::Evaluator;
pub use moment::{Answers, at, domains, next_change, resolve};
