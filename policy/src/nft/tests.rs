//! Whole scripts as they are given to nft, and the names that the agent reads back.

use proptest::prelude::*;
use schemas::config::RulesetDefault;

use super::*;
use crate::generated;

fn options() -> Options {
    Options {
        control: ["192.0.2.1:4222", "[2001:db8::1]:4222", "[::ffff:192.0.2.1]:4222"]
            .map(|at| at.parse().expect("an address"))
            .to_vec(),
        nflog_group: 5,
        counters: BTreeMap::from([(1, (12, 3_400))]),
    }
}

#[test]
fn observing_leaves_no_table() {
    let ruleset = generated::ruleset(&["WAN LAN any any tcp 23 drop"]);
    insta::assert_snapshot!(script(&ruleset, Mode::Observe, &options()), @r#"
    table inet netkeep
    delete table inet netkeep
    "#);
}

#[test]
fn one_rule_between_two_zones() {
    let ruleset = generated::ruleset(&["WAN LAN any any tcp 23 drop"]);
    insta::assert_snapshot!(script(&ruleset, Mode::Enforce, &options()), @r#"
    table inet netkeep
    delete table inet netkeep
    table inet netkeep {
    	set control4 {
    		type ipv4_addr . inet_service
    		elements = {
    			192.0.2.1 . 4222
    		}
    	}
    	set control6 {
    		type ipv6_addr . inet_service
    		elements = {
    			2001:db8::1 . 4222
    		}
    	}
    	counter rule_1 {
    		packets 12 bytes 3400
    	}
    	chain rule_1 {
    		counter name "rule_1"
    		ct mark set 1 log prefix "nk:1:d" group 5 snaplen 128 drop
    	}
    	chain pair.WAN.LAN {
    		meta l4proto . th dport vmap {
    			6 . 23 : goto rule_1
    		}
    	}
    	chain from.WAN {
    		oifname vmap {
    			"lan0" : goto pair.WAN.LAN
    		}
    	}
    	chain forward {
    		type filter hook forward priority filter; policy accept;
    		ct state established,related accept
    		iifname vmap {
    			"wan0" : goto from.WAN
    		}
    	}
    	chain input {
    		type filter hook input priority filter; policy accept;
    		ip saddr . tcp sport @control4 ct state established accept comment "control plane"
    		ip6 saddr . tcp sport @control6 ct state established accept comment "control plane"
    		icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept comment "link upkeep"
    		meta nfproto ipv4 udp sport 67 udp dport 68 accept comment "address upkeep"
    		meta nfproto ipv6 udp sport 547 udp dport 546 accept comment "address upkeep"
    		ct state established,related accept
    	}
    	chain output {
    		type filter hook output priority filter; policy accept;
    		ip daddr . tcp dport @control4 accept comment "control plane"
    		ip6 daddr . tcp dport @control6 accept comment "control plane"
    		icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept comment "link upkeep"
    		meta nfproto ipv4 udp sport 68 udp dport 67 accept comment "address upkeep"
    		meta nfproto ipv6 udp sport 546 udp dport 547 accept comment "address upkeep"
    		ct state established,related accept
    	}
    }
    "#);
}

#[test]
fn in_shadow_everything_is_accepted_in_the_end() {
    let ruleset = generated::ruleset(&["WAN LOCAL 10.0.0.0/8 any tcp 22 reject log"]);
    insta::assert_snapshot!(script(&ruleset, Mode::Shadow, &Options::default()), @r#"
    table inet netkeep
    delete table inet netkeep
    table inet netkeep {
    	counter rule_1 {
    		packets 0 bytes 0
    	}
    	chain rule_1 {
    		counter name "rule_1" ct mark 1 accept
    		limit rate 10/second burst 20 packets log prefix "netkeep rule_1 " level info
    		ct mark set 1 log prefix "nk:1:r" group 0 snaplen 128 accept
    	}
    	chain pair.WAN.LOCAL {
    		ip saddr . meta l4proto . th dport vmap {
    			10.0.0.0/8 . 6 . 22 : goto rule_1
    		}
    	}
    	chain forward {
    		type filter hook forward priority filter; policy accept;
    		ct state established,related accept
    	}
    	chain input {
    		type filter hook input priority filter; policy accept;
    		icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept comment "link upkeep"
    		meta nfproto ipv4 udp sport 67 udp dport 68 accept comment "address upkeep"
    		meta nfproto ipv6 udp sport 547 udp dport 546 accept comment "address upkeep"
    		ct state established,related accept
    		iifname vmap {
    			"wan0" : goto pair.WAN.LOCAL
    		}
    	}
    	chain output {
    		type filter hook output priority filter; policy accept;
    		icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept comment "link upkeep"
    		meta nfproto ipv4 udp sport 68 udp dport 67 accept comment "address upkeep"
    		meta nfproto ipv6 udp sport 546 udp dport 547 accept comment "address upkeep"
    		ct state established,related accept
    	}
    }
    "#);
}

/// The chains of a script whose names begin so.
fn chains(script: &str, name: &str) -> String {
    let chains = script.split("\tchain ").skip(1).filter(|chain| chain.starts_with(name));
    chains
        .map(|chain| format!("chain {}", chain.trim_end_matches('\n').replace("\n\t", "\n")))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn rules_of_many_shapes() {
    let ruleset = generated::ruleset(&[
        "WAN LAN 10.0.0.0/8,fd00::/8 10.2.0.1-10.2.0.9,fd00:2::1 tcp 80,8000-8099 accept",
        "WAN LAN any 10.2.0.10 all 53 reject",
        "WAN LAN any 10.2.0.11 all 53 drop",
        "WAN LAN any ::ffff:10.0.0.1 all - drop",
        "WAN LAN 0.0.0.0/0 any icmp - accept",
        "WAN LAN ::/0 any all - drop",
        "WAN LAN any any all - drop",
        "WAN NOWHERE any any all - accept",
    ]);
    let script = script(&ruleset, Mode::Enforce, &Options::default());
    insta::assert_snapshot!(chains(&script, "pair."), @r#"
    chain pair.WAN.LAN {
    	ip saddr . ip daddr . meta l4proto . th dport vmap {
    		10.0.0.0/8 . 10.2.0.1-10.2.0.9 . 6 . 80 : goto rule_1,
    		10.0.0.0/8 . 10.2.0.1-10.2.0.9 . 6 . 8000-8099 : goto rule_1
    	}
    	ip6 saddr . ip6 daddr . meta l4proto . th dport vmap {
    		fd00::/8 . fd00:2::1 . 6 . 80 : goto rule_1,
    		fd00::/8 . fd00:2::1 . 6 . 8000-8099 : goto rule_1
    	}
    	ip daddr . meta l4proto . th dport vmap {
    		10.2.0.10 . 6 . 53 : goto rule_2,
    		10.2.0.10 . 17 . 53 : goto rule_2,
    		10.2.0.10 . 132 . 53 : goto rule_2,
    		10.2.0.11 . 6 . 53 : goto rule_3,
    		10.2.0.11 . 17 . 53 : goto rule_3,
    		10.2.0.11 . 132 . 53 : goto rule_3
    	}
    	ip6 daddr vmap {
    		::ffff:10.0.0.1 : goto rule_4
    	}
    	meta nfproto ipv4 meta l4proto vmap {
    		1 : goto rule_5
    	}
    	meta nfproto vmap {
    		ipv6 : goto rule_6
    	}
    	goto rule_7
    }
    "#);
}

#[test]
fn a_rule_counts_marks_tells_and_decides() {
    let ruleset = generated::ruleset(&[
        "WAN LAN any any tcp 80 accept log",
        "WAN LAN any any tcp 81 drop",
        "WAN LAN any any tcp 82 reject",
    ]);
    let script = script(&ruleset, Mode::Enforce, &Options { nflog_group: 5, ..Options::default() });
    insta::assert_snapshot!(chains(&script, "rule_"), @r#"
    chain rule_1 {
    	counter name "rule_1" ct mark 1 accept
    	limit rate 10/second burst 20 packets log prefix "netkeep rule_1 " level info
    	ct mark set 1 log prefix "nk:1:a" group 5 snaplen 128 accept
    }
    chain rule_2 {
    	counter name "rule_2"
    	ct mark set 2 log prefix "nk:2:d" group 5 snaplen 128 drop
    }
    chain rule_3 {
    	counter name "rule_3"
    	ct mark set 3 log prefix "nk:3:r" group 5 snaplen 128
    	meta l4proto 6 reject with tcp reset
    	reject with icmpx port-unreachable
    }
    "#);
}

#[test]
fn a_default_that_denies_holds_between_all_zones() {
    let mut ruleset = generated::ruleset(&["WAN LAN any any all - accept"]);
    ruleset.zones.remove(0);
    ruleset.default_action = Action::Drop;
    let script = script(&ruleset, Mode::Enforce, &Options::default());
    let shown = ["rule_0", "pair.", "from."].map(|name| chains(&script, name)).join("\n");
    insta::assert_snapshot!(shown, @r#"
    chain rule_0 {
    	counter name "rule_0"
    	log prefix "nk:0:d" group 0 snaplen 128 drop
    }
    chain pair.WAN.LAN {
    	goto rule_1
    	goto rule_0
    }
    chain from.LAN {
    	oifname vmap {
    		"lan0" : goto rule_0,
    		"wan0" : goto rule_0
    	}
    }
    chain from.WAN {
    	oifname vmap {
    		"lan0" : goto pair.WAN.LAN,
    		"wan0" : goto rule_0
    	}
    }
    "#);
}

#[test]
fn what_only_logs_returns_and_what_zones_default_to_is_a_rule() {
    let mut ruleset = generated::ruleset(&[
        "any LAN 10.0.0.0/8 any tcp - accept log log-only",
        "WAN LAN !10.0.0.0/8 any all - drop",
        "any any any any tcp 80 accept",
    ]);
    ruleset.zones.remove(0);
    let default = |number: u32, from: &str, to: &str, action, log| RulesetDefault {
        id: schemas::id::ZonePolicyId::default().into(),
        number,
        zone_from: generated::zone(from),
        zone_to: generated::zone(to),
        action,
        log,
    };
    ruleset.defaults =
        vec![default(7, "WAN", "LAN", Action::Drop, true), default(8, "LAN", "LOCAL", Action::Accept, false)];
    let script = script(&ruleset, Mode::Enforce, &Options::default());
    let shown = ["rule_1", "rule_7", "pair.", "from.WAN"].map(|name| chains(&script, name)).join("\n");
    insta::assert_snapshot!(shown, @r#"
    chain rule_1 {
    	counter name "rule_1"
    	limit rate 10/second burst 20 packets log prefix "netkeep rule_1 " level info
    }
    chain rule_7 {
    	counter name "rule_7"
    	limit rate 10/second burst 20 packets log prefix "netkeep rule_7 " level info
    	ct mark set 7 log prefix "nk:7:d" group 0 snaplen 128 drop
    }
    chain pair.LAN.LAN {
    	ip saddr . meta l4proto vmap {
    		10.0.0.0/8 . 6 : jump rule_1
    	}
    	meta l4proto . th dport vmap {
    		6 . 80 : goto rule_3
    	}
    }
    chain pair.LAN.WAN {
    	meta l4proto . th dport vmap {
    		6 . 80 : goto rule_3
    	}
    }
    chain pair.LAN.LOCAL {
    	meta l4proto . th dport vmap {
    		6 . 80 : goto rule_3
    	}
    	goto rule_8
    }
    chain pair.WAN.LAN {
    	ip saddr . meta l4proto vmap {
    		10.0.0.0/8 . 6 : jump rule_1
    	}
    	ip saddr vmap {
    		0.0.0.0-9.255.255.255 : goto rule_2,
    		11.0.0.0-255.255.255.255 : goto rule_2
    	}
    	meta nfproto vmap {
    		ipv6 : goto rule_2
    	}
    	meta l4proto . th dport vmap {
    		6 . 80 : goto rule_3
    	}
    	goto rule_7
    }
    chain from.WAN {
    	oifname vmap {
    		"lan0" : goto pair.WAN.LAN,
    		"wan0" : goto pair.LAN.WAN
    	}
    }
    "#);
}

#[test]
fn rules_that_name_the_same_large_set_share_it() {
    let mut ruleset = generated::ruleset(&[
        "WAN LAN #1 any tcp 80 accept",
        "WAN LAN #1,10.0.0.1 any all - drop",
        "WAN LAN any !#1 all - reject",
    ]);
    let hosts = (0..300u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0100 + 2 * n).into());
    ruleset.sets = vec![generated::set_of(1, hosts.filter_map(|ip| schemas::address::Span::new(ip, ip)).collect())];
    let script = script(&ruleset, Mode::Enforce, &Options::default());
    assert_eq!(script.matches("\tset addresses_").count(), 2, "the set and what is not in it");
    insta::assert_snapshot!(chains(&script, "pair."), @r#"
    chain pair.WAN.LAN {
    	ip saddr @addresses_1 meta l4proto 6 th dport { 80 } goto rule_1
    	ip saddr @addresses_1 goto rule_2
    	ip saddr vmap {
    		10.0.0.1 : goto rule_2
    	}
    	ip daddr @addresses_2 goto rule_3
    	meta nfproto vmap {
    		ipv6 : goto rule_3
    	}
    }
    "#);
}

#[test]
fn an_interface_in_two_zones_is_in_the_first() {
    let mut ruleset = generated::ruleset(&["WAN LAN any any all - drop"]);
    ruleset.zones[1].interfaces.extend(["wan0", "dmz0"].map(|name| name.parse().expect("an interface name")));
    let script = script(&ruleset, Mode::Enforce, &Options::default());
    assert_eq!(script.matches("\"wan0\" :").count(), 1, "{script}");
}

proptest! {
    #[test]
    fn log_prefixes_read_back(number: u32, action in prop::sample::select(vec![Action::Accept, Action::Drop, Action::Reject])) {
        prop_assert_eq!(parse_log_prefix(&log_prefix(number, action)), Some((number, action)));
    }

    #[test]
    fn counter_names_read_back(number: u32) {
        prop_assert_eq!(number_of_counter(&counter_name(number)), Some(number));
    }

    #[test]
    fn equal_rulesets_give_equal_scripts(ruleset in generated::rulesets()) {
        let once = script(&ruleset, Mode::Enforce, &options());
        prop_assert_eq!(&once, &script(&ruleset.clone(), Mode::Enforce, &options()));
        for number in ruleset.rules.iter().map(|rule| rule.number).chain(ruleset.defaults.iter().map(|pair| pair.number)) {
            let name = format!("\tchain {} {{", counter_name(number));
            prop_assert_eq!(once.matches(&name).count(), 1);
        }
    }
}

#[test]
fn what_others_log_is_not_ours() {
    for prefix in ["", "nk:", "nk:1", "nk:1:x", "nk:+1:a", "nk:99999999999:a", "nk:1:a ", "kn:1:a"] {
        assert_eq!(parse_log_prefix(prefix), None, "{prefix:?}");
    }
    for name in ["rule_", "rule_x", "rule_+1", "other"] {
        assert_eq!(number_of_counter(name), None, "{name:?}");
    }
}
