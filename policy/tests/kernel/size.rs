//! Ten thousand rules: compiled, loaded and replaced in a time that an operator waits for.

use std::time::{Duration, Instant};

use policy::nft::{self, Options};
use policy::{Evaluator, Packet, evaluate};
use schemas::address::Span;
use schemas::config::Ruleset;
use schemas::device::Mode;

use crate::generated::{self, zone};
use crate::namespace::Namespace;

const RULES: u32 = 10_000;

/// Far above what it takes, so that only a change of order of magnitude fails.
const SECONDS_MAX: u64 = 40;

fn ruleset(words: impl Fn(u32) -> String) -> Ruleset {
    let rules = (0..RULES).map(|n| generated::rule(n + 1, &words(n))).collect();
    generated::of(rules, schemas::rule::Action::Accept)
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = run();
    let took = start.elapsed();
    eprintln!("{what}: {took:?}");
    assert!(took < Duration::from_secs(SECONDS_MAX), "{what} took {took:?}");
    done
}

fn check(what: &str, ruleset: &Ruleset) {
    let Some(router) = Namespace::new("s") else { return };
    let script = timed(&format!("{what}: script"), || nft::script(ruleset, Mode::Enforce, &Options::default()));
    eprintln!("{what}: {} bytes, {} lookups", script.len(), script.matches(" vmap {").count());
    timed(&format!("{what}: load"), || router.nft(&script));
    timed(&format!("{what}: replace"), || router.nft(&script));
    timed(&format!("{what}: take away"), || router.nft(&nft::script(ruleset, Mode::Observe, &Options::default())));
}

#[test]
fn ten_thousand_rules_that_do_not_meet_load() {
    let rules = ruleset(|n| {
        let (high, low) = (n / 250, n % 250);
        let action = ["accept", "drop", "reject"][usize::try_from(n % 3).expect("small")];
        match n % 4 {
            0 => format!("WAN LAN any 10.{high}.{low}.0/24 tcp 22,443 {action}"),
            1 => format!("LAN WAN 10.{high}.{low}.1-10.{high}.{low}.9 any udp 53 {action}"),
            2 => format!("DMZ LAN fd00:{high:x}:{low:x}::/48 any all - {action}"),
            _ => format!("LAN LOCAL 10.{high}.{low}.0/24 10.0.0.0/8 tcp 1000-1999 {action}"),
        }
    });
    check("disjoint", &rules);
}

#[test]
fn ten_thousand_rules_with_exceptions_load() {
    let rules = ruleset(|n| {
        let (net, host) = (n / 20, n % 20);
        let (high, low) = (net / 250, net % 250);
        match host {
            19 => format!("WAN LAN any 10.{high}.{low}.0/24 all - drop"),
            _ => format!("WAN LAN 192.0.2.{host} 10.{high}.{low}.{host} tcp 80,443,8000-8099 accept"),
        }
    });
    check("exceptions", &rules);
}

#[test]
fn ten_thousand_rules_are_searched_quickly() {
    let rules = ruleset(|n| format!("WAN LAN 10.{}.{}.0/24 any tcp 80 drop", n / 250, n % 250));
    let evaluator = timed("evaluator", || Evaluator::new(&rules));
    let (from, to) = (zone("WAN"), zone("LAN"));
    let packet = |n: u32| Packet {
        zone_from: Some(&from),
        zone_to: Some(&to),
        source: std::net::Ipv4Addr::from(0x0a00_0000 + n * 199).into(),
        destination: std::net::Ipv4Addr::new(10, 2, 0, 1).into(),
        protocol: 6,
        port: Some(80),
    };
    let decided =
        timed("10,000 decisions", || (0..10_000).filter(|n| evaluator.decide(&packet(*n)).by.is_some()).count());
    assert!(decided > 5_000, "{decided}");
    for n in (0..10_000).step_by(500) {
        assert_eq!(evaluator.decide(&packet(n)), evaluate(&rules, &packet(n)));
    }
}

/// A list of as many addresses as a list may have, on 50 rules.
fn large_list() -> Ruleset {
    let address = |n: u32| std::net::IpAddr::from(std::net::Ipv4Addr::from(0x2000_0000 + n * 5_003));
    let spans: Vec<Span> = (0..100_000).filter_map(|n| Span::new(address(n), address(n))).collect();
    let mut rules = vec![generated::rule(1, "any any #1 any all - drop")];
    rules.extend((2..=50).map(|n| generated::rule(n, &format!("WAN LAN #1 any tcp {n} accept"))));
    let sets = vec![generated::set_of(1, spans)];
    Ruleset { sets, ..generated::of(rules, schemas::rule::Action::Accept) }
}

#[test]
fn a_hundred_thousand_addresses_on_fifty_rules_are_one_set() {
    let ruleset = large_list();
    let bytes = serde_json::to_vec(&ruleset).expect("JSON").len();
    eprintln!("list: {bytes} bytes on the wire");
    assert!(bytes < 4 << 20, "{bytes}");
    let script = timed("list: script", || nft::script(&ruleset, Mode::Enforce, &Options::default()));
    assert_eq!(script.matches("\tset addresses_").count(), 1);
    check("list", &ruleset);
    let evaluator = timed("list: evaluator", || Evaluator::new(&ruleset));
    let (from, to) = (zone("WAN"), zone("LAN"));
    let packet = |n: u32| Packet {
        zone_from: Some(&from),
        zone_to: Some(&to),
        source: std::net::Ipv4Addr::from(0x2000_0000 + n).into(),
        destination: std::net::Ipv4Addr::new(10, 2, 0, 1).into(),
        protocol: 6,
        port: Some(80),
    };
    let decided = || (0..1_000_000).filter(|n| evaluator.decide(&packet(*n)).by.is_some()).count();
    assert_eq!(timed("list: 1,000,000 decisions", decided), 200);
}
