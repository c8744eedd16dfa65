//! Each part alone: a nats-server of the user's own, and command, query and project as processes of their own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::issuer::Issuer;
use crate::rig::{Rig, free, netkeep, send, wait_for};

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn part(name: &str, data: &Path, nats: SocketAddr, arguments: &[&str]) -> Child {
    Command::new(netkeep())
        .arg(name)
        .arg("--keys")
        .arg(data.join("instance.key"))
        .args(["--nats-url", &format!("nats://{nats}")])
        .args(arguments)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// An org founded by `netkeep up`, whose data then goes on under the parts.
#[tokio::test]
async fn the_parts_do_together_what_up_does_alone() {
    let mut rig = Rig::start().await;
    let before = rig.post("/api/v1/zones", json!({"name": "BEFORE"})).await;
    assert_eq!(before.status, 201);
    rig.stop().await;

    let data: &TempDir = &rig.data;
    let nats = free(any());
    let printed = Command::new(netkeep())
        .args(["nats-config", "--listen", &nats.to_string(), "--keys"])
        .arg(data.path().join("instance.key"))
        .arg("--store")
        .arg(data.path().join("nats/data"))
        .output()
        .await
        .unwrap();
    assert!(printed.status.success());
    let config = data.path().join("own.conf");
    std::fs::write(&config, printed.stdout).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tools = root.join(".tools/bin/nats-server");
    let program = if tools.exists() { tools } else { "nats-server".into() };
    let _server = Command::new(program).arg("-c").arg(config).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    wait_for("nats-server", async || tokio::net::TcpStream::connect(nats).await.is_ok()).await;

    let founded = Command::new(netkeep())
        .args(["found", "--org", "second", "--nats-url", &format!("nats://{nats}"), "--keys"])
        .arg(data.path().join("instance.key"))
        .output()
        .await
        .unwrap();
    let second = String::from_utf8(founded.stdout).unwrap();
    let second = second.trim().strip_prefix("NETKEEP_TOKEN=").expect("a token").to_owned();

    let (command, query) = (free(any()), free(any()));
    let store = data.path().join("store");
    let store = store.to_str().unwrap();
    let issuer = Issuer::start().await;
    let _parts = [
        part("command", data.path(), nats, &["--listen", &command.to_string(), "--jwt-issuer", &issuer.url]),
        part(
            "query",
            data.path(),
            nats,
            &["--store", store, "--listen", &query.to_string(), "--jwt-issuer", &issuer.url],
        ),
        part("project", data.path(), nats, &["--store", store]),
    ];
    let call = |method, address: SocketAddr| {
        rig.http.request(method, format!("http://{address}/api/v1/zones")).bearer_auth(&rig.token)
    };
    for address in [command, query] {
        wait_for("a part to listen", async || tokio::net::TcpStream::connect(address).await.is_ok()).await;
    }
    let created = send(call(Method::POST, command).json(&json!({"name": "AFTER"}))).await;
    assert_eq!(created.status, 201, "{}", created.json);
    let seen = call(Method::GET, query).header("Netkeep-Min-Position", created.header("netkeep-position"));
    let names = send(seen).await.json.to_string();
    assert!(names.contains("BEFORE") && names.contains("AFTER"), "{names}");
    let theirs = async || send(rig.http.get(format!("http://{query}/api/v1/zones")).bearer_auth(&second)).await;
    wait_for("the second org to be projected", async || theirs().await.status == 200).await;
    let theirs = theirs().await;
    assert_eq!(theirs.json["meta"]["total"], 5, "{}", theirs.json);
    assert!(!theirs.json.to_string().contains("BEFORE"), "one org sees nothing of another");

    signed_in_once(&rig, &issuer, command, query).await;
}

/// A first sign-in at the read side is one at the write side, and the other way about.
async fn signed_in_once(rig: &Rig, issuer: &Issuer, command: SocketAddr, query: SocketAddr) {
    for (first, then, subject) in [(query, command, "ann"), (command, query, "bob")] {
        let jwt = issuer.token(subject, json!({"name": subject, "role": "operator"}));
        let at = |method, address: SocketAddr, path: &str| {
            rig.http.request(method, format!("http://{address}/api/v1/{path}")).bearer_auth(&jwt)
        };
        let zone =
            async |address, name: &str| send(at(Method::POST, address, "zones").json(&json!({"name": name}))).await;
        let mut position = "0".to_owned();
        if first == command {
            assert_eq!(zone(command, "BOBS").await.status, 201);
        }
        let me = async || send(at(Method::GET, query, "me")).await.json;
        wait_for("the name of who signed in", async || me().await["name"] == subject).await;
        let id = me().await["id"].clone();
        if then == command {
            let made = zone(command, "ANNS").await;
            assert_eq!(made.status, 201, "{}", made.json);
            position = made.header("netkeep-position").to_owned();
        }
        let users = rig.http.get(format!("http://{query}/api/v1/users?per_page=100")).bearer_auth(&rig.token);
        let users = send(users.header("Netkeep-Min-Position", position)).await;
        let same = users.json["data"].as_array().unwrap().iter().filter(|user| user["name"] == subject);
        assert_eq!(same.map(|user| user["id"].clone()).collect::<Vec<_>>(), [id], "{}", users.json);
    }
}
