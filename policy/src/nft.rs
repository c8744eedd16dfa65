//! A ruleset as an nftables script: one transaction that replaces Netkeep's own table and touches nothing else.
//!
//! The table `inet netkeep`, in the order a packet meets it:
//!
//! - `input`, `forward`, `output`: base chains at priority `filter`. Connections to the control plane and established
//!   ones pass; so do the ICMPv6 messages without which an IPv6 link is dead, as ARP does, and what the device and its DHCP
//!   servers say to each other. Then the zone of the interface leads on; an interface without a zone is left alone.
//! - `from.<zone>`: for forwarded packets, the zone of the outgoing interface.
//! - `pair.<from>.<to>`: the rules between two zones, as few verdict maps (`steps`), never a list of rules. Pairs with
//!   the same rules and the same default share the chain of the first.
//! - `rule_<number>`: what one rule does: count, mark the connection, tell the agent by NFLOG, and the verdict. A rule
//!   that only logs counts and returns. The default of two zones is such a rule too; `rule_0` is the last default, if
//!   that is not accept.
//! - `prerouting`, `postrouting`: base chains that translate addresses, in enforce mode only.
//! - `addresses_<n>`: what a rule names, if that is too much for a map; rules that name the same share the set.
//!
//! Rules decide on new connections. A connection that was accepted lives on when a later ruleset denies it; its
//! conntrack mark, the number of the rule that let it in, is what to end it by.
//!
//! Only numbers, addresses, zone names and interface names go into a script, each from a type that its characters are
//! checked by; no other text of a user does.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemas::config::Ruleset;
use schemas::device::Mode;
use schemas::rule::Action;

mod layout;
mod nat;
mod steps;
mod text;
mod write;

/// The name of the table, in family `inet`.
pub const TABLE: &str = "netkeep";

/// The number that stands for the default where rules have theirs.
pub const DEFAULT_NUMBER: u32 = 0;

/// What a script depends on beside the ruleset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the control plane listens: TCP connections of the device to it are always accepted.
    pub control: Vec<SocketAddr>,
    /// The NFLOG group that rules tell their decisions to.
    pub nflog_group: u16,
    /// Packets and bytes that the counters of rules begin with, so that they survive the change of the table.
    pub counters: BTreeMap<u32, (u64, u64)>,
}

/// The script of a ruleset of a moment (see [`evaluate`](crate::evaluate())), for `nft -f -`; it may be run any number
/// of times.
///
/// In [`Mode::Observe`] it takes the table away. In [`Mode::Shadow`] rules count, mark and tell as they do otherwise,
/// and then accept.
pub fn script(ruleset: &Ruleset, mode: Mode, options: &Options) -> String {
    let mut script = text::Script::default();
    script.line(0, format_args!("table inet {TABLE}"));
    script.line(0, format_args!("delete table inet {TABLE}"));
    match mode {
        Mode::Observe => {}
        Mode::Shadow | Mode::Enforce => write::table(&mut script, &layout::Layout::new(ruleset), mode, options),
    }
    script.into_text()
}

/// The name of a rule's counter and chain.
pub fn counter_name(number: u32) -> String {
    format!("rule_{number}")
}

/// The rule that a counter of the table belongs to.
pub fn number_of_counter(name: &str) -> Option<u32> {
    number(name.strip_prefix("rule_")?)
}

/// The prefix of the NFLOG messages about a rule's decisions.
pub fn log_prefix(number: u32, action: Action) -> String {
    let letter = match action {
        Action::Accept => 'a',
        Action::Drop => 'd',
        Action::Reject => 'r',
    };
    format!("nk:{number}:{letter}")
}

/// The rule and its action that an NFLOG message is about; in shadow mode the packet passed all the same.
pub fn parse_log_prefix(prefix: &str) -> Option<(u32, Action)> {
    let (digits, letter) = prefix.strip_prefix("nk:")?.split_once(':')?;
    let action = match letter {
        "a" => Action::Accept,
        "d" => Action::Drop,
        "r" => Action::Reject,
        _ => return None,
    };
    Some((number(digits)?, action))
}

fn number(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
