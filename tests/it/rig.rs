//! A running `netkeep up` with its own data folder and ports, ended with the test.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Rig {
    pub(crate) data: TempDir,
    pub(crate) api: SocketAddr,
    pub(crate) nats: SocketAddr,
    pub(crate) token: String,
    pub(crate) http: reqwest::Client,
    arguments: Vec<String>,
    child: Child,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn reason(&self) -> &str {
        self.json["error"]["reason"].as_str().unwrap_or_default()
    }

    pub(crate) fn id(&self) -> &str {
        self.json["id"].as_str().unwrap()
    }
}

impl Rig {
    /// Starts a netkeep that nobody has used before.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), arguments).await
    }

    /// Starts one whose bus and API listen on an address of the caller's.
    pub(crate) async fn start_at(listen: SocketAddr, arguments: &[&str]) -> Self {
        let data = TempDir::new().unwrap();
        let api = free(listen);
        let nats = free(listen);
        let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
        let (child, token) = launch(data.path(), api, nats, &arguments).await;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let token = token.expect("the first start gives out a token");
        Self { data, api, nats, token, http, arguments, child }
    }

    /// Ends it as a power cut would: no goodbye, neither to it nor to its nats-server.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
        wait_for("the orphaned nats-server to end", async || TcpListener::bind(self.nats).is_ok()).await;
    }

    /// Ends its nats-server, and only that, as a power cut would.
    pub(crate) async fn kill_nats(&self) {
        signal("KILL", &self.nats_pid()).await;
    }

    pub(crate) fn nats_pid(&self) -> String {
        let config = self.data.path().join("nats/nats-server.conf");
        let config = config.to_str().unwrap();
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
        let named = processes.filter(|process| {
            let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).any(|word| word == config.as_bytes())
        });
        let mut pids: Vec<String> = named.map(|process| process.file_name().into_string().unwrap()).collect();
        assert_eq!(pids.len(), 1, "there is one nats-server");
        pids.remove(0)
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    /// Ends it as Ctrl-C would, and checks that it ended well.
    pub(crate) async fn stop(&mut self) {
        signal("INT", &self.pid()).await;
        let status = tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it stops in time").unwrap();
        assert!(status.success(), "{status}");
    }

    /// Starts it again on the same data; no second token is given out.
    pub(crate) async fn restart(&mut self) {
        let (child, token) = launch(self.data.path(), self.api, self.nats, &self.arguments).await;
        assert_eq!(token, None, "the token is shown once");
        self.child = child;
    }

    /// Founds more orgs beside the first, and gives their owners' tokens.
    pub(crate) async fn found(&self, orgs: &[String]) -> Vec<String> {
        let founded = Command::new(netkeep())
            .arg("found")
            .args(["--nats-url", &format!("nats://{}", self.nats), "--org", &orgs.join(",")])
            .arg("--keys")
            .arg(self.data.path().join("instance.key"))
            .output()
            .await
            .unwrap();
        assert!(founded.status.success(), "{}", String::from_utf8_lossy(&founded.stderr));
        let told = String::from_utf8(founded.stdout).unwrap();
        let tokens =
            told.lines().filter_map(|line| line.split_once("NETKEEP_TOKEN=")).map(|(_, token)| token.to_owned());
        let tokens: Vec<String> = tokens.collect();
        assert_eq!(tokens.len(), orgs.len());
        tokens
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }

    /// A request with the owner's token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Reads what has seen the write that was answered with `after`.
    pub(crate) async fn get_after(&self, path: &str, after: &Answer) -> Answer {
        let position = after.header("netkeep-position");
        send(self.request(Method::GET, path).header("Netkeep-Min-Position", position)).await
    }

    /// The rows of a query.
    pub(crate) async fn sql(&self, query: &str) -> Vec<Vec<Value>> {
        let answer = self.post("/api/v1/sql", serde_json::json!({"query": query})).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.json);
        serde_json::from_value(answer.json["data"].clone()).unwrap()
    }

    /// The secret of a new setup key.
    pub(crate) async fn setup_key(&self, name: &str) -> String {
        let created = self.post("/api/v1/setup-keys", serde_json::json!({"name": name, "type": "reusable"})).await;
        assert_eq!(created.status, 201, "{}", created.json);
        created.json["key"].as_str().unwrap().to_owned()
    }
}

/// The shell's own `kill`: a program of that name is not everywhere.
async fn signal(name: &str, pid: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().await.unwrap();
    assert!(sent.success());
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response: Response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let json = serde_json::from_slice(&bytes).unwrap_or(Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answer { status, headers, json }
}

/// Waits until a condition holds, and says what was waited for if it does not.
pub(crate) async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        // Between two looks at the condition.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn netkeep() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_netkeep"))
}

/// The clock of this machine, which is that of the netkeep under test.
#[expect(clippy::disallowed_methods, reason = "this is where the tests learn the time")]
pub(crate) fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// An address that nothing listens on at this moment.
pub(crate) fn free(like: SocketAddr) -> SocketAddr {
    TcpListener::bind(SocketAddr::new(like.ip(), 0)).unwrap().local_addr().unwrap()
}

async fn launch(data: &Path, api: SocketAddr, nats: SocketAddr, arguments: &[String]) -> (Child, Option<String>) {
    let mut child = Command::new(netkeep())
        .arg("up")
        .arg("--data-dir")
        .arg(data)
        .args(["--listen", &api.to_string(), "--nats-listen", &nats.to_string()])
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let founded = data.join("founded").exists();
    let mut token = None;
    let read = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(given) = line.strip_prefix("NETKEEP_TOKEN=") {
                token = Some(given.to_owned());
            }
            if founded || token.is_some() {
                return;
            }
        }
        panic!("netkeep ended before it was ready");
    };
    tokio::time::timeout(DEADLINE, read).await.expect("netkeep is ready in time");
    (child, token)
}
