//! Real connections through real rules: denied, refused, kept open, and never cut off from the control plane.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use policy::nft::{self, Options};
use schemas::device::Mode;
use schemas::rule::Action;

use crate::generated;
use crate::namespace::{Namespace, eventually};

/// A router (`10.1.0.1`, `fd00:1::1`) and a host (`10.1.0.2`, `fd00:1::2`) that listens, on the interface `wan0`.
struct Link {
    router: Namespace,
    host: Namespace,
    servers: Vec<Child>,
}

/// Listens on ports for both families, and says so.
const LISTEN: &str = "
import socket, sys, threading
servers = [socket.create_server(('', int(port)), family=socket.AF_INET6, dualstack_ipv6=True) for port in sys.argv[1:]]
print('listening', flush=True)
threading.Event().wait()
";

/// Connects, and says what comes of it.
const CONNECT: &str = "
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).close()
    print('open', end='')
except ConnectionRefusedError:
    print('refused', end='')
except TimeoutError:
    print('silent', end='')
";

impl Link {
    fn new() -> Option<Self> {
        let (router, host) = (Namespace::new("r")?, Namespace::new("h")?);
        router.ip(&format!("link add wan0 type veth peer name wan0 netns {}\n", host.name()));
        for (namespace, number) in [(&router, 1), (&host, 2)] {
            namespace.sysctl(&["net/ipv6/conf/all/accept_dad=0", "net/ipv6/conf/wan0/accept_dad=0"]);
            let addresses = format!("addr add 10.1.0.{number}/24 dev wan0\naddr add fd00:1::{number}/64 dev wan0\n");
            namespace.ip(&format!("link set lo up\n{addresses}link set wan0 up\n"));
        }
        let mut link = Self { router, host, servers: Vec::new() };
        link.listen();
        Some(link)
    }

    fn listen(&mut self) {
        for namespace in [&self.router, &self.host] {
            let mut command = namespace.command("python3");
            command.args(["-c", LISTEN, "22", "23", "80", "4222"]).stdout(Stdio::piped());
            let mut server = command.spawn().expect("it starts");
            let stdout = server.stdout.take().expect("a pipe");
            self.servers.push(server);
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).expect("a line");
            assert_eq!(line, "listening\n");
        }
    }

    fn apply(&self, rules: &[&str], default: Action, mode: Mode, options: &Options) {
        let mut ruleset = generated::ruleset(rules);
        ruleset.default_action = default;
        self.router.nft(&nft::script(&ruleset, mode, options));
    }

    /// What the host sees of a port of the router.
    fn inward(&self, address: &str, port: u16) -> String {
        connect(&self.host, address, port)
    }

    /// What the router sees of a port of the host.
    fn outward(&self, address: &str, port: u16) -> String {
        connect(&self.router, address, port)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn connect(from: &Namespace, address: &str, port: u16) -> String {
    let output = from.run("python3", &["-c", CONNECT, address, &port.to_string(), "0.6"], "");
    assert!(output.status.success(), "connect: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Both families, asked until they answer: a link needs a moment after it came up.
fn opens(from: &Namespace, addresses: [&str; 2], port: u16) {
    for address in addresses {
        let open = || if connect(from, address, port) == "open" { Ok(()) } else { Err(()) };
        assert_eq!(eventually(open), Ok(()), "{address} {port}");
    }
}

const ROUTER: [&str; 2] = ["10.1.0.1", "fd00:1::1"];
const HOST: [&str; 2] = ["10.1.0.2", "fd00:1::2"];

#[test]
fn denied_is_silent_and_rejected_is_told() {
    let Some(link) = Link::new() else { return };
    opens(&link.host, ROUTER, 23);
    let rules =
        ["WAN LOCAL any any tcp 23 drop log", "WAN LOCAL any any tcp 22 reject", "LOCAL WAN any any tcp 23 reject"];
    link.apply(&rules, Action::Accept, Mode::Enforce, &Options::default());
    for (router, host) in ROUTER.into_iter().zip(HOST) {
        let inward = [22, 23, 80].map(|port| link.inward(router, port));
        assert_eq!(inward, ["refused", "silent", "open"], "{router}");
        assert_eq!([23, 80].map(|port| link.outward(host, port)), ["refused", "open"], "{host}");
    }
    link.apply(&rules, Action::Accept, Mode::Shadow, &Options::default());
    assert_eq!([22, 23, 80].map(|port| link.inward(ROUTER[0], port)), ["open", "open", "open"]);
    let counters = link.router.nft_list(&["counters"], "counter");
    assert!(counters.iter().take(2).all(|counter| counter["packets"] == 1), "{counters:?}");
    link.apply(&rules, Action::Accept, Mode::Observe, &Options::default());
    assert!(link.router.nft_list(&["tables"], "table").is_empty());
}

#[test]
fn a_default_that_denies_cuts_off_neither_neighbours_nor_the_control_plane() {
    let Some(link) = Link::new() else { return };
    let control = HOST.map(|ip| (ip.parse::<std::net::IpAddr>().expect("an address"), 4222).into()).to_vec();
    let options = Options { control, ..Options::default() };
    link.apply(&["WAN LOCAL any any tcp 80 accept"], Action::Drop, Mode::Enforce, &options);
    opens(&link.host, ROUTER, 80);
    opens(&link.router, HOST, 4222);
    assert_eq!([22, 23].map(|port| link.inward(ROUTER[1], port)), ["silent", "silent"]);
    assert_eq!(link.outward(HOST[0], 80), "silent");
}

#[test]
fn counters_go_on_where_they_were() {
    let Some(link) = Link::new() else { return };
    let counters = BTreeMap::from([(1, (7, 700)), (2, (u64::MAX / 2, 1))]);
    let options = Options { counters, ..Options::default() };
    opens(&link.host, ROUTER, 80);
    let rules = ["WAN LOCAL any any tcp 80 accept", "WAN LOCAL any any udp 53 drop"];
    link.apply(&rules, Action::Accept, Mode::Enforce, &options);
    assert_eq!(link.inward(ROUTER[0], 80), "open");
    let counters = link.router.nft_list(&["counters"], "counter");
    let packets: Vec<Option<u64>> = counters.iter().map(|counter| counter["packets"].as_u64()).collect();
    assert_eq!(packets, [Some(8), Some(u64::MAX / 2)]);
}
