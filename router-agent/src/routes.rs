//! Which interface leads to an address, and which addresses are the device's own, as the kernel's tables say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// A snapshot of the main routing table and the device's addresses.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    own: HashSet<IpAddr>,
    /// By prefix length; of each: network -> metric and interface.
    v4: BTreeMap<u8, HashMap<u128, (u32, Arc<str>)>>,
    v6: BTreeMap<u8, HashMap<u128, (u32, Arc<str>)>>,
}

/// A routing table has at most this many entries here; a full BGP table has a million.
const ROUTES_MAX: usize = 2_000_000;

const UP: u32 = 0x1;
const REJECT: u32 = 0x200;

impl Routes {
    /// Reads the kernel's tables; what cannot be read is absent.
    pub fn read() -> Self {
        let mut routes = Self::default();
        for interface in pnet_datalink::interfaces() {
            for network in &interface.ips {
                routes.own.insert(network.ip());
                if let IpAddr::V4(broadcast) = network.broadcast()
                    && network.prefix() < 31
                {
                    routes.own.insert(IpAddr::V4(broadcast));
                }
            }
        }
        let table = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        table("/proc/net/route").lines().take(ROUTES_MAX).for_each(|line| routes.add_v4_line(line));
        table("/proc/net/ipv6_route").lines().take(ROUTES_MAX).for_each(|line| routes.add_v6_line(line));
        routes
    }

    /// The addresses that are this device.
    pub fn own(&self) -> Vec<IpAddr> {
        let mut own: Vec<IpAddr> = self.own.iter().copied().collect();
        own.sort();
        own
    }

    /// Whether `ip` is the device itself: one of its addresses, or the broadcast address of one of its networks.
    pub fn is_own(&self, ip: IpAddr) -> bool {
        self.own.contains(&ip)
    }

    /// The interface that leads to `ip`: the longest prefix, of equals the lowest metric.
    pub fn interface_to(&self, ip: IpAddr) -> Option<&Arc<str>> {
        let (table, bits, number) = match ip {
            IpAddr::V4(ip) => (&self.v4, 32, u128::from(u32::from(ip))),
            IpAddr::V6(ip) => (&self.v6, 128, u128::from(ip)),
        };
        let found = table.iter().rev().find_map(|(prefix, networks)| networks.get(&masked(number, bits, *prefix)));
        found.map(|(_, interface)| interface)
    }

    /// Adds a route.
    pub fn add(&mut self, network: IpAddr, prefix: u8, metric: u32, interface: &str) {
        let (table, bits, number) = match network {
            IpAddr::V4(ip) => (&mut self.v4, 32, u128::from(u32::from(ip))),
            IpAddr::V6(ip) => (&mut self.v6, 128, u128::from(ip)),
        };
        let prefix = prefix.min(bits);
        let networks = table.entry(prefix).or_default();
        let entry = networks.entry(masked(number, bits, prefix));
        let route = entry.or_insert_with(|| (metric, Arc::from(interface)));
        if metric < route.0 {
            *route = (metric, Arc::from(interface));
        }
    }

    /// Reads a line of `/proc/net/route`: numbers in hexadecimal, addresses in the byte order of the machine.
    fn add_v4_line(&mut self, line: &str) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let hex = |at: usize| fields.get(at).and_then(|text| u32::from_str_radix(text, 16).ok());
        let metric = fields.get(6).and_then(|text| text.parse().ok());
        let parsed = (fields.first(), hex(1), hex(3), metric, hex(7));
        if let (Some(interface), Some(network), Some(flags), Some(metric), Some(mask)) = parsed
            && flags & UP != 0
            && flags & REJECT == 0
        {
            let prefix = u8::try_from(mask.count_ones()).unwrap_or(32);
            self.add(IpAddr::V4(Ipv4Addr::from(network.to_ne_bytes())), prefix, metric, interface);
        }
    }

    /// Reads a line of `/proc/net/ipv6_route`.
    fn add_v6_line(&mut self, line: &str) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let hex = |at: usize| fields.get(at).and_then(|text| u32::from_str_radix(text, 16).ok());
        let network = fields.first().and_then(|text| u128::from_str_radix(text, 16).ok());
        let parsed = (network, hex(1), hex(5), hex(8), fields.get(9));
        if let (Some(network), Some(prefix), Some(metric), Some(flags), Some(interface)) = parsed
            && flags & UP != 0
            && flags & REJECT == 0
            && *interface != "lo"
        {
            let prefix = u8::try_from(prefix).unwrap_or(128);
            self.add(IpAddr::V6(Ipv6Addr::from(network)), prefix, metric, interface);
        }
    }
}

fn masked(number: u128, bits: u8, prefix: u8) -> u128 {
    let free = u32::from(bits - prefix.min(bits));
    number.checked_shr(free).and_then(|high| high.checked_shl(free)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(routes: &Routes, ip: &str) -> Option<String> {
        routes.interface_to(ip.parse().expect("an address")).map(ToString::to_string)
    }

    #[test]
    fn the_longest_prefix_leads() {
        let mut routes = Routes::default();
        routes.add_v4_line("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT");
        if cfg!(target_endian = "little") {
            routes.add_v4_line("wan0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0");
            routes.add_v4_line("lan0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0");
            routes.add_v4_line("lan1\t0001000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0");
            assert_eq!(to(&routes, "10.9.9.9").as_deref(), Some("lan0"));
            assert_eq!(to(&routes, "10.0.1.7").as_deref(), Some("lan1"));
            assert_eq!(to(&routes, "1.1.1.1").as_deref(), Some("wan0"));
        }
        assert_eq!(to(&routes, "2001:db8::1"), None);
        routes.add_v6_line(
            "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 \
             00000000000000000000000000000000 00000100 00000001 00000000 00000001     lan0",
        );
        assert_eq!(to(&routes, "2001:db8::1").as_deref(), Some("lan0"));
        assert_eq!(to(&routes, "2001:db9::1"), None);
    }

    #[test]
    fn of_equal_prefixes_the_lowest_metric_leads() {
        let mut routes = Routes::default();
        for (metric, interface) in [(200, "b"), (100, "a"), (300, "c")] {
            routes.add(IpAddr::from([0, 0, 0, 0]), 0, metric, interface);
        }
        assert_eq!(to(&routes, "9.9.9.9").as_deref(), Some("a"));
    }

    #[test]
    fn the_machines_own_tables_can_be_read() {
        assert!(Routes::read().is_own(IpAddr::from([127, 0, 0, 1])));
    }
}
