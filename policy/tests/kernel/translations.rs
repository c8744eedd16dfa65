//! Real connections through real translations: who arrives where, and as whom.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use policy::nft::{self, Options};
use schemas::config::RulesetNat;
use schemas::device::Mode;
use serde_json::{Value, json};

use crate::generated;
use crate::namespace::{Namespace, eventually};

/// `outside` (`10.7.1.2`, `fd00:7:1::2`) on `wan0` and `inside` (`10.7.2.2`, `fd00:7:2::2`) on `lan0` of a router, which
/// is number 1 on both sides. Outside knows no way to the addresses inside.
struct World {
    router: Namespace,
    outside: Namespace,
    inside: Namespace,
    servers: Vec<Child>,
}

/// Tells who connects as whom it is seen, on which port.
const SERVE: &str = "
import socket, threading
def serve(server):
    while True:
        connection, peer = server.accept()
        told = peer[0].removeprefix('::ffff:') + ' ' + str(server.getsockname()[1])
        connection.sendall(told.encode())
        connection.close()
for port in [80, 81]:
    server = socket.create_server(('', port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=serve, args=[server]).start()
print('listening', flush=True)
";

const ASK: &str = "
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.6).recv(100).decode(), end='')
except OSError as error:
    print('nobody', end='')
";

impl World {
    fn new() -> Option<Self> {
        let (router, outside, inside) = (Namespace::new("r")?, Namespace::new("w")?, Namespace::new("l")?);
        router.sysctl(&["net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1", "net/ipv6/conf/all/accept_dad=0"]);
        for (network, name, there) in [(1, "wan0", &outside), (2, "lan0", &inside)] {
            router.ip(&format!("link add {name} type veth peer name {name} netns {}\nlink set lo up\n", there.name()));
            for (namespace, number) in [(&router, 1), (there, 2)] {
                namespace.sysctl(&[&format!("net/ipv6/conf/{name}/accept_dad=0")]);
                let v4 = format!("addr add 10.7.{network}.{number}/28 dev {name}\n");
                let v6 = format!("addr add fd00:7:{network}::{number}/64 dev {name}\n");
                namespace.ip(&format!("{v4}{v6}link set {name} up\n"));
            }
        }
        router.ip("addr add 10.7.1.9/28 dev wan0\n");
        inside.ip("route add default via 10.7.2.1\nroute add default via fd00:7:2::1\n");
        outside.ip("route add 10.7.1.16/28 via 10.7.1.1\n");
        let servers = [&outside, &inside].map(|namespace| {
            let mut server =
                namespace.command("python3").args(["-c", SERVE]).stdout(Stdio::piped()).spawn().expect("it starts");
            let mut line = String::new();
            BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
            assert_eq!(line, "listening\n");
            server
        });
        Some(Self { router, outside, inside, servers: servers.into() })
    }

    fn apply(&self, mode: Mode, rules: &[&str], nat: &[Value]) {
        self.apply_with(mode, rules, nat, &Options::default());
    }

    fn apply_with(&self, mode: Mode, rules: &[&str], nat: &[Value], options: &Options) {
        let mut ruleset = generated::ruleset(rules);
        let read = |(number, given): (u64, &Value)| {
            let id = schemas::id::NatRuleId::new(schemas::id::Ulid::from_parts(number, 0));
            let mut all = json!({"id": id, "zone": "WAN", "source": "any", "destination": "any",
                "service": {"protocol": "all"}, "log": true});
            all.as_object_mut().expect("an object").extend(given.as_object().expect("an object").clone());
            serde_json::from_value::<RulesetNat>(all).expect("a translation")
        };
        ruleset.nat = (0..).zip(nat).map(read).collect();
        ruleset.sets = vec![generated::set_of(1, vec!["10.7.2.0/24".parse().expect("a block")])];
        self.router.nft(&nft::script(&ruleset, mode, options));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// What is told at an address; a link needs a moment after it came up.
fn check(from: &Namespace, address: &str, port: u16, expected: &str) {
    let ask = || {
        let output = from.run("python3", &["-c", ASK, address, &port.to_string()], "");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        if told == expected { Ok(()) } else { Err(told) }
    };
    assert_eq!(eventually(ask), Ok(()), "{address} {port}");
}

#[test]
fn the_source_becomes_another() {
    let Some(world) = World::new() else { return };
    check(&world.inside, "10.7.1.2", 80, "nobody");
    let masquerade = json!({"type": "masquerade"});
    world.apply(Mode::Enforce, &[], std::slice::from_ref(&masquerade));
    check(&world.inside, "10.7.1.2", 80, "10.7.1.1 80");
    check(&world.inside, "fd00:7:1::2", 80, "fd00:7:1::1 80");

    let list = generated::set(1).to_string();
    let snat = json!({"type": "snat", "source": list, "translate_to": "10.7.1.9",
        "service": {"protocol": "tcp", "ports": ["80"]}});
    world.apply(Mode::Enforce, &[], &[masquerade.clone(), snat]);
    check(&world.inside, "10.7.1.2", 80, "10.7.1.9 80");
    check(&world.inside, "10.7.1.2", 81, "10.7.1.1 81");
    check(&world.inside, "fd00:7:1::2", 81, "fd00:7:1::1 81");

    world.apply(Mode::Shadow, &[], &[masquerade]);
    check(&world.inside, "10.7.1.2", 80, "nobody");
}

/// Only what the device itself says to the control plane stays as it is: who is behind it is no less behind it.
#[test]
fn who_is_behind_a_device_reaches_the_control_plane_as_everybody_else() {
    let Some(world) = World::new() else { return };
    let control = ["10.7.1.2:80", "[fd00:7:1::2]:80"].map(|at| at.parse().expect("an address"));
    let options = Options { control: control.into(), ..Options::default() };
    let nat = [json!({"type": "snat", "translate_to": "10.7.1.9"}), json!({"type": "masquerade"})];
    world.apply_with(Mode::Enforce, &[], &nat, &options);
    check(&world.inside, "10.7.1.2", 80, "10.7.1.9 80");
    check(&world.inside, "fd00:7:1::2", 80, "fd00:7:1::1 80");
    check(&world.router, "10.7.1.2", 80, "10.7.1.1 80");
    check(&world.router, "10.7.1.2", 81, "10.7.1.9 81");
    check(&world.router, "fd00:7:1::2", 80, "fd00:7:1::1 80");
}

#[test]
fn ports_are_forwarded_and_rules_see_where_to() {
    let Some(world) = World::new() else { return };
    let forward = |destination: &str, ports: &str, to: &str, after: &str| {
        json!({"type": "dnat", "destination": destination, "translate_to": to, "translate_ports": after,
            "service": {"protocol": "tcp", "ports": [ports]}})
    };
    let nat = [
        forward("10.7.1.1", "8080", "10.7.2.2", "80"),
        forward("10.7.1.1", "8000-8001", "10.7.2.2", "80-81"),
        forward("fd00:7:1::1", "8080", "fd00:7:2::2", "80"),
    ];
    world.apply(Mode::Enforce, &[], &nat);
    check(&world.outside, "10.7.1.1", 8080, "10.7.1.2 80");
    check(&world.outside, "10.7.1.1", 8001, "10.7.1.2 81");
    check(&world.outside, "fd00:7:1::1", 8080, "fd00:7:1::2 80");
    check(&world.outside, "10.7.1.1", 80, "nobody");

    world.apply(Mode::Enforce, &["WAN LAN any 10.7.2.2 tcp 80 drop"], &nat);
    check(&world.outside, "10.7.1.1", 8080, "nobody");
    check(&world.outside, "10.7.1.1", 8001, "10.7.1.2 81");
}

#[test]
fn a_block_stands_for_another_both_ways() {
    let Some(world) = World::new() else { return };
    let block = json!({"type": "1:1", "destination": "10.7.1.16/28", "translate_to": "10.7.2.0/28"});
    world.apply(Mode::Enforce, &[], &[json!({"type": "masquerade"}), block]);
    check(&world.outside, "10.7.1.18", 80, "10.7.1.2 80");
    check(&world.inside, "10.7.1.2", 80, "10.7.1.18 80");

    let one = json!({"type": "1:1", "destination": "10.7.1.20", "translate_to": "10.7.2.2"});
    world.apply(Mode::Enforce, &[], &[one]);
    check(&world.outside, "10.7.1.20", 81, "10.7.1.2 81");
    check(&world.inside, "10.7.1.2", 81, "10.7.1.20 81");
}
