//! A device in network namespaces, with a real bus, real nft and real packets between a client and a server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by panicking")]

mod namespaces;
mod rig;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use router_agent::Config;

use namespaces::Namespaces;
use rig::{PATIENCE, Rig, Row, Running, block_telnet, nats_server};

/// Names the namespaces to the process inside the router's.
const INSIDE: &str = "NETKEEP_TEST_NAMESPACES";
const SERVER: &str = "10.9.2.2";
const ROUTER: &str = "10.9.1.1";

#[test]
fn a_rule_reaches_the_kernel_and_its_traffic_reaches_the_bus() {
    if std::env::var(INSIDE).is_ok() {
        return;
    }
    let Some(nats) = nats_server() else { return eprintln!("skipped: no nats-server") };
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if !is_root {
        return eprintln!("skipped: namespaces need root");
    }
    let namespaces = Namespaces::make(&format!("nka{}", std::process::id()));
    let inside = Command::new("ip")
        .args(["netns", "exec", &namespaces.name("r")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "inside_the_router", "--nocapture"])
        .env(INSIDE, &namespaces.prefix)
        .env("NETKEEP_NATS_SERVER", nats)
        .status();
    assert!(inside.unwrap().success());
}

/// What runs in the router's namespace; alone it does nothing.
#[test]
fn inside_the_router() {
    let Ok(prefix) = std::env::var(INSIDE) else { return };
    tracing_subscriber::fmt().with_test_writer().init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let walked = runtime.block_on(runtime.spawn(async move { walk(&prefix).await }));
    // After a failure the agent is still listening.
    runtime.shutdown_background();
    walked.unwrap();
}

async fn walk(prefix: &str) {
    let folder = tempfile::tempdir().unwrap();
    let nats = std::env::var("NETKEEP_NATS_SERVER").unwrap();
    let mut rig = Rig::start(Path::new(&nats), folder.path(), |config| config).await;
    let _telnet = Running(serve_telnet(prefix));

    rig.push(2, Vec::new()).await;
    let telnet = || connects(prefix);
    wait_until("telnet passes", telnet).await;

    rig.push(3, vec![block_telnet()]).await;
    assert!(!telnet(), "telnet is blocked as soon as revision 3 is reported");
    assert!(pings(prefix, SERVER), "what no rule names still passes");
    assert!(pings(prefix, ROUTER), "the device itself answers");

    let flushed = Command::new("nft").args(["flush", "ruleset"]).status();
    assert!(flushed.unwrap().success());
    wait_until("telnet is blocked again after somebody flushed all rules", || !telnet()).await;

    rig.push(4, Vec::new()).await;
    wait_until("telnet passes again", telnet).await;

    let rows = rig.rows_until(|rows| rows.iter().any(|row| row.revision == 4 && row.port == 23)).await;
    check_rows(&rows);
    rig.stop_agent().await;
    let left = Command::new("nft").args(["list", "table", "inet", "netkeep"]).stdout(Stdio::null()).status();
    assert!(left.unwrap().success(), "the rules stay in force without the agent");
    assert_eq!(std::fs::read_dir(folder.path().join("agent/spool")).unwrap().count(), 1, "all batches were sent");
}

fn check_rows(rows: &[Row]) {
    let telnet: Vec<&Row> = rows.iter().filter(|row| row.port == 23 && row.destination == SERVER).collect();
    let dropped = telnet.iter().find(|row| row.verdict == "drop").expect("a row of the blocked attempt");
    assert_eq!((dropped.source.as_str(), dropped.revision), ("kernel", 3));
    assert_eq!(dropped.rule.as_deref(), Some(block_telnet().id.to_string().as_str()));
    assert_eq!((dropped.zones.as_str(), dropped.packets[1]), ("LAN>WAN", 0));
    assert!(dropped.packets[0] >= 1);
    let passed = telnet.iter().find(|row| row.verdict == "accept" && row.packets[1] > 0).expect("a passed one");
    assert_eq!((passed.zones.as_str(), passed.direction.as_str()), ("LAN>WAN", "forward"));
    let ping = rows.iter().find(|row| row.protocol == 1 && row.destination == SERVER).expect("a row of the ping");
    assert_eq!((ping.verdict.as_str(), ping.packets), ("accept", [1, 1]));
    assert_eq!(ping.bytes, [84, 84]);
    let own = rows.iter().find(|row| row.destination == ROUTER).expect("a row of the ping to the device");
    assert_eq!((own.direction.as_str(), own.zones.as_str(), own.packets), ("in", "LAN>LOCAL", [1, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_takes_the_same_path_without_root() {
    let Some(nats) = nats_server() else { return eprintln!("skipped: no nats-server") };
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("telnet.pcap");
    std::fs::write(&capture, telnet_capture()).unwrap();
    let replayed = |config| Config { replay: Some(capture), replay_rebase: true, ..config };
    let mut rig = Rig::start(&nats, folder.path(), replayed).await;
    rig.push(2, vec![block_telnet()]).await;
    let rows = rig.rows_until(|rows| rows.len() >= 2).await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.port, row.verdict.as_str(), row.source.as_str(), row.zones.as_str(), row.packets, row.revision))
        .collect();
    assert_eq!(
        told,
        [(23, "drop", "evaluated", "LAN>WAN", [1, 0], 2), (80, "accept", "evaluated", "LAN>WAN", [1, 1], 2),]
    );
    rig.stop_agent().await;
}

/// A pcap of raw IP: a SYN to port 23 of 9.9.9.9; two seconds later one to port 80, and its answer.
fn telnet_capture() -> Vec<u8> {
    let word = |number: u32| number.to_le_bytes();
    let mut file = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 101].map(word).concat();
    let (inside, outside) = ([10, 0, 0, 1], [9, 9, 9, 9]);
    for (seconds, from, to, ports, flags) in [
        (10, inside, outside, [4_000u16, 23], 2),
        (12, inside, outside, [4_001, 80], 2),
        (12, outside, inside, [80, 4_001], 18),
    ] {
        file.extend([seconds, 0, 40, 40].map(word).concat());
        file.extend([0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0]);
        file.extend([from, to].concat());
        file.extend(ports.map(u16::to_be_bytes).concat());
        file.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    }
    file
}

async fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        // Between two looks at the condition.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn serve_telnet(prefix: &str) -> std::process::Child {
    let script = "import socket\ns = socket.create_server(('10.9.2.2', 23))\nwhile True:\n    c, _ = s.accept()\n    c.sendall(b'login: ')\n    c.close()\n";
    Command::new("ip").args(["netns", "exec", &format!("{prefix}s"), "python3", "-c", script]).spawn().unwrap()
}

/// Whether the client reaches the server's telnet port.
fn connects(prefix: &str) -> bool {
    client_runs(prefix, "import socket\nc = socket.create_connection(('10.9.2.2', 23), 1)\nassert c.recv(9)")
}

/// Whether a host answers the client's one echo request of 56 bytes.
fn pings(prefix: &str, to: &str) -> bool {
    let script = "import socket, struct\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\ns.settimeout(2)\n\
        s.sendto(struct.pack('!BBHHH', 8, 0, 0xf7fd, 1, 1) + bytes(56), ('HOST', 0))\n\
        assert s.recv(99)[20] == 0";
    client_runs(prefix, &script.replace("HOST", to))
}

fn client_runs(prefix: &str, script: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &format!("{prefix}c"), "python3", "-c", script]).stderr(Stdio::null());
    command.status().unwrap().success()
}
