//! Three hosts in network namespaces: a client in the WAN, a router with a real agent, a server in the LAN.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::process::{Child, Command};

use crate::rig::{netkeep, wait_for};

/// Whether network namespaces and nftables can be used here. Says why not.
pub(crate) async fn can_build() -> bool {
    let root = Command::new("id").arg("-u").output().await.is_ok_and(|it| it.stdout == b"0\n");
    let tools = run("nft", &["--version"]).await.is_some() && run("ip", &["netns", "list"]).await.is_some();
    if !(root && tools) {
        eprintln!("skipped: network namespaces need root, ip and nft");
    }
    root && tools
}

pub(crate) struct Town {
    name: String,
    third: u8,
    agent: Option<Child>,
}

static TOWNS: AtomicU8 = AtomicU8::new(0);

impl Town {
    /// Lays the cables. The router is 10.<t>.1.1 to the client (10.<t>.1.2), 10.<t>.2.1 to the server (10.<t>.2.2) and
    /// 10.<t>.0.2 to this machine (10.<t>.0.1).
    pub(crate) async fn build() -> Self {
        let town = TOWNS.fetch_add(1, Ordering::SeqCst);
        let pid = std::process::id();
        let third = u8::try_from(pid % 50).unwrap() * 4 + 20 + town % 4;
        let town = Self { name: format!("nk{pid}-{town}"), third, agent: None };
        let [client, router, server] = town.namespaces();
        let host = town.host_interface();
        let t = third;
        for line in [
            format!("netns add {client}"),
            format!("netns add {router}"),
            format!("netns add {server}"),
            format!("link add {host} type veth peer name mgmt netns {router}"),
            format!("addr add 10.{t}.0.1/24 dev {host}"),
            format!("link set {host} up"),
            format!("-n {router} addr add 10.{t}.0.2/24 dev mgmt"),
            format!("-n {router} link set mgmt up"),
            format!("link add wan0 netns {router} type veth peer name eth0 netns {client}"),
            format!("link add lan0 netns {router} type veth peer name eth0 netns {server}"),
            format!("-n {router} addr add 10.{t}.1.1/24 dev wan0"),
            format!("-n {router} addr add 10.{t}.2.1/24 dev lan0"),
            format!("-n {router} link set wan0 up"),
            format!("-n {router} link set lan0 up"),
            format!("-n {router} link set lo up"),
            format!("-n {client} addr add 10.{t}.1.2/24 dev eth0"),
            format!("-n {client} link set eth0 up"),
            format!("-n {client} route add default via 10.{t}.1.1"),
            format!("-n {server} addr add 10.{t}.2.2/24 dev eth0"),
            format!("-n {server} link set eth0 up"),
            format!("-n {server} route add default via 10.{t}.2.1"),
        ] {
            must("ip", &line.split(' ').collect::<Vec<_>>()).await;
        }
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        must("ip", &["netns", "exec", &router, "sh", "-c", forward]).await;
        town
    }

    /// Where this machine is reached from the router.
    pub(crate) fn host(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, self.third, 0, 1)), 0)
    }

    pub(crate) fn server_ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.third, 2, 2)
    }

    pub(crate) fn client_ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.third, 1, 2)
    }

    /// Starts a real agent in the router.
    pub(crate) fn start_agent(&mut self, url: &str, setup_key: &str, state: &Path) {
        let [_, router, _] = self.namespaces();
        let agent = Command::new("ip")
            .args(["netns", "exec", &router])
            .arg(netkeep())
            .args(["agent", "--url", url, "--setup-key", setup_key, "--name", "edge-1", "--window-ms", "500"])
            .args(["--interface", "wan0=WAN", "--interface", "lan0=LAN", "--heartbeat-ms", "500", "--state-dir"])
            .arg(state)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.agent = Some(agent);
    }

    /// Serves a port in the server's namespace: each connection is greeted with `hello`.
    pub(crate) async fn serve(&self, port: u16) -> Child {
        let [_, _, server] = self.namespaces();
        let program = format!(
            "import socket\ns = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
             s.bind(('0.0.0.0', {port})); s.listen(64)\nwhile True:\n c, _ = s.accept(); c.sendall(b'hello'); c.close()\n"
        );
        let child = Command::new("ip")
            .args(["netns", "exec", &server, "python3", "-c", &program])
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let here = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 1)");
        must("ip", &["-n", &server, "link", "set", "lo", "up"]).await;
        wait_for("the server to listen", async || {
            run("ip", &["netns", "exec", &server, "python3", "-c", &here]).await.is_some()
        })
        .await;
        child
    }

    /// Whether the client can connect to the server within a short time.
    pub(crate) async fn connects(&self, port: u16) -> bool {
        let [client, _, _] = self.namespaces();
        let program = format!(
            "import socket; s = socket.create_connection(('{}', {port}), 0.3); assert s.recv(5) == b'hello'",
            self.server_ip()
        );
        run("ip", &["netns", "exec", &client, "python3", "-c", &program]).await.is_some()
    }

    /// What nft lists of the agent's table in the router.
    pub(crate) async fn ruleset(&self) -> String {
        let [_, router, _] = self.namespaces();
        let output = run("ip", &["netns", "exec", &router, "nft", "list", "table", "inet", "netkeep"]).await;
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    fn namespaces(&self) -> [String; 3] {
        ["c", "r", "s"].map(|host| format!("{}-{host}", self.name))
    }

    fn host_interface(&self) -> String {
        format!("{}-h", self.name)
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.start_kill();
        }
        for namespace in self.namespaces() {
            let _ = std::process::Command::new("ip").args(["netns", "del", &namespace]).status();
        }
        let _ = std::process::Command::new("ip")
            .args(["link", "del", &self.host_interface()])
            .stderr(Stdio::null())
            .status();
    }
}

async fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(arguments).kill_on_drop(true).output().await.ok()?;
    output.status.success().then_some(output)
}

async fn must(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
