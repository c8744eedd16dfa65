//! A router with an interface in each zone, for packets made by hand.

use std::collections::BTreeMap;
use std::fmt::Write;

use policy::nft;

use crate::generated::Generated;
use crate::namespace::Namespace;
use crate::wire;

/// The interfaces of the router, by zone number; the last belongs to no zone.
const INTERFACES: [&str; 5] = ["lo", "wan0", "lan0", "dmz0", "none0"];

/// A router with an interface in each zone, all of them cabled to one outside.
pub(crate) struct World {
    pub(crate) router: Namespace,
    outside: Namespace,
}

impl World {
    pub(crate) fn new() -> Option<Self> {
        let (router, outside) = (Namespace::new("r")?, Namespace::new("o")?);
        router.sysctl(&["net/ipv4/conf/all/rp_filter=0", "net/ipv4/conf/default/rp_filter=0"]);
        router.sysctl(&["net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1"]);
        router.sysctl(&["net/ipv4/conf/all/send_redirects=0", "net/ipv4/conf/default/send_redirects=0"]);
        outside.sysctl(&["net/ipv6/conf/all/disable_ipv6=1", "net/ipv6/conf/default/disable_ipv6=1"]);
        router.ip("link set lo up\nroute add local 10.0.0.0/24 dev lo\nroute add local fd00::/64 dev lo\n");
        for (zone, name) in INTERFACES.iter().enumerate().skip(1) {
            let (here, there) = (format!("02:00:00:00:01:0{zone}"), format!("02:00:00:00:02:0{zone}"));
            let pair = format!("link add {name} address {here} type veth peer name {name} address {there}");
            router.ip(&format!("{pair} netns {}\nlink set {name} up\n", outside.name()));
            outside.ip(&format!("link set {name} up\n"));
            let mut routes = String::new();
            let _ = writeln!(routes, "neigh add 169.254.{zone}.2 lladdr {there} dev {name} nud permanent");
            let _ = writeln!(routes, "neigh add fe80::2 lladdr {there} dev {name} nud permanent");
            let _ = writeln!(routes, "route add 10.{zone}.0.0/24 via 169.254.{zone}.2 dev {name} onlink");
            let _ = writeln!(routes, "route add fd00:{zone}::/64 via fe80::2 dev {name} onlink");
            router.ip(&routes);
        }
        router.nft(wire::WITNESS);
        router.sysctl(&["net/netfilter/nf_conntrack_checksum=0"]);
        Some(Self { router, outside })
    }

    /// Sends packets numbered from 1, those of the device itself by itself.
    pub(crate) fn send(&self, packets: &[Generated]) {
        let (mut by_device, mut frames) = (String::new(), String::new());
        for (number, packet) in (1..).zip(packets) {
            let zone = packet.from.unwrap_or(4);
            let (bytes, v4) = (wire::bytes(packet, number), packet.source.is_ipv4());
            if zone == 0 {
                let version = if v4 { 4 } else { 6 };
                let _ = writeln!(by_device, "{version} {} {}", packet.destination, hex(&bytes));
            } else {
                let ethertype = if v4 { "0800" } else { "86dd" };
                let name = INTERFACES[zone];
                let addresses = format!("02000000010{zone}02000000020{zone}");
                let _ = writeln!(frames, "{name} {addresses}{ethertype}{}", hex(&bytes));
            }
        }
        for (from, lines) in [(&self.router, by_device), (&self.outside, frames)] {
            let sent = from.run("python3", &["-c", wire::SEND], &lines);
            assert!(sent.status.success(), "send: {}", String::from_utf8_lossy(&sent.stderr));
        }
    }

    /// How often each rule decided, but those that never did.
    pub(crate) fn counted(&self) -> BTreeMap<u32, u64> {
        let counters = self.router.nft_list(&["counters", "table", "inet", nft::TABLE], "counter");
        let counted = counters.iter().filter_map(|counter| {
            Some((nft::number_of_counter(counter["name"].as_str()?)?, counter["packets"].as_u64()?))
        });
        counted.filter(|(_, packets)| *packets > 0).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
