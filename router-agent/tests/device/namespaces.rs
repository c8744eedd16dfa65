//! Three network namespaces: a client, a router, a server.

use std::process::Command;

/// client (10.9.1.2) - lan0 router wan0 - server (10.9.2.2); removed at the end.
pub(crate) struct Namespaces {
    pub(crate) prefix: String,
}

impl Namespaces {
    pub(crate) fn make(prefix: &str) -> Self {
        let made = Self { prefix: prefix.to_owned() };
        let (client, router, server) = (made.name("c"), made.name("r"), made.name("s"));
        for name in [&client, &router, &server] {
            ip(&["netns", "add", name]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        for (peer, interface, network) in [(&client, "lan0", "10.9.1"), (&server, "wan0", "10.9.2")] {
            let pair = ["link", "add", interface, "netns", &router, "type", "veth", "peer", "name", "eth0"];
            ip(&[&pair[..], &["netns", peer]].concat());
            ip(&["-n", &router, "addr", "add", &format!("{network}.1/24"), "dev", interface]);
            ip(&["-n", &router, "link", "set", interface, "up"]);
            ip(&["-n", peer, "addr", "add", &format!("{network}.2/24"), "dev", "eth0"]);
            ip(&["-n", peer, "link", "set", "eth0", "up"]);
            ip(&["-n", peer, "route", "add", "default", "via", &format!("{network}.1")]);
        }
        ip(&["netns", "exec", &router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        made
    }

    pub(crate) fn name(&self, which: &str) -> String {
        format!("{}{which}", self.prefix)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for which in ["c", "r", "s"] {
            let _ = Command::new("ip").args(["netns", "del", &self.name(which)]).status();
        }
    }
}

fn ip(args: &[&str]) {
    let status = Command::new("ip").args(args).status().unwrap();
    assert!(status.success(), "ip {args:?}");
}
