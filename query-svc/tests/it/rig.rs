//! A read side with a real NATS server, a store and an HTTP server; the test itself plays the projector.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bus::topology::Topology;
use bus::{Bus, BusAuth};
use bytes::Bytes;
use gate::{Gate, GateConfig, Keyring};
use query_svc::{Config, Deps, QuerySvc};
use schemas::access::{Role, Scope};
use schemas::commit::{ChainHead, Commit};
use schemas::credential::{Credential, CredentialKey};
use schemas::event::{Event, Meta, Recorded, SecretHash, SpecVersion};
use schemas::files::{File, FilesCommit};
use schemas::id::{ApiTokenId, CommitId, EventId, OrgId, Ulid, UserId};
use schemas::kind::Kind;
use schemas::resource::ResourceId;
use schemas::state::OrgState;
use schemas::subjects::{STATE_BUCKET, head_key, state_key};
use schemas::view::Head;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::table::{Row, write};

/// A nats-server of its own.
pub(crate) struct Nats {
    process: Child,
    pub(crate) url: String,
    _dir: TempDir,
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nats {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = TempDir::new().unwrap();
        let binary = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
        let process = Command::new(binary)
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, url: format!("nats://127.0.0.1:{port}"), _dir: dir }
    }
}

pub(crate) async fn connect(nats: &Nats) -> Bus {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match Bus::connect(std::slice::from_ref(&nats.url), &BusAuth::None, "test").await {
            Ok(bus) => return bus,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) struct Rig {
    pub(crate) bus: Bus,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) org: OrgId,
    keyring: Keyring,
    pub(crate) state: OrgState,
    head: ChainHead,
    position: u64,
    files: u64,
    store: TempDir,
    stop: CancellationToken,
    _nats: Nats,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) const AT: &str = "2026-11-21T13:00:00Z";

pub(crate) fn ulid(number: u128) -> Ulid {
    Ulid::from(number)
}

pub(crate) fn user(number: u128) -> UserId {
    UserId::new(ulid(number))
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let nats = Nats::start();
        let bus = connect(&nats).await;
        bus.ensure(&Topology { flows_bytes_max: 64 << 20, ..Topology::default() }).await.unwrap();
        let store = TempDir::new().unwrap();
        let org: OrgId = "acme".parse().unwrap();
        let keyring = Keyring::default();
        for (index, role) in Role::ALL.into_iter().enumerate() {
            give(&keyring, &org, &format!("{role:?}").to_lowercase(), index as u128, role, Vec::new());
        }
        let gate = Gate::new(keyring.clone(), None, &GateConfig::default()).unwrap();
        let deps = Deps {
            bus: bus.clone(),
            gate: gate.clone(),
            store_dir: store.path().to_owned(),
            people: bus.people(),
            uses: bus.uses(),
        };
        let service = QuerySvc::bind(config, deps).unwrap();
        let router = gate::openapi::mount(service.router());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { gate::serve(listener, router, &gate, stopped, Duration::from_secs(1)).await });
        tokio::spawn(service.run(stop.clone()));
        Self {
            bus,
            base: format!("http://{address}/api/v1"),
            http: reqwest::Client::new(),
            org,
            keyring,
            state: OrgState::default(),
            head: ChainHead::default(),
            position: 0,
            files: 0,
            store,
            stop,
            _nats: nats,
        }
    }

    /// Gives user `number` the token `nk_<word>`, bound to a scope.
    pub(crate) fn give_bound(&self, word: &str, number: u128, role: Role, scope: Value) {
        give(&self.keyring, &self.org, word, number, role, vec![serde_json::from_value(scope).unwrap()]);
    }

    /// Commits events and projects them. Says the position.
    pub(crate) async fn commit(&mut self, actor: &str, events: Vec<Event>) -> u64 {
        let position = self.append(actor, &events).await;
        self.project(position, &events).await;
        position
    }

    /// Commits events, and leaves them to be projected.
    pub(crate) async fn append(&mut self, actor: &str, events: &[Event]) -> u64 {
        let mut stored = Vec::new();
        for event in events {
            let recorded = Recorded { meta: self.meta(actor, event), event: event.clone() };
            let raw = RawValue::from_string(serde_json::to_string(&recorded).unwrap()).unwrap();
            self.head = self.head.next(raw.get());
            self.state.apply(&recorded);
            stored.push(raw);
        }
        let id = CommitId::new(ulid(u128::from(self.head.revision)));
        let commit = Commit { org: self.org.clone(), id, events: stored };
        let payload = Bytes::from(serde_json::to_vec(&commit).unwrap());
        self.position = self.bus.events().append(&self.org, self.position, id, payload).await.unwrap();
        self.position
    }

    pub(crate) async fn project(&mut self, position: u64, events: &[Event]) {
        let bucket = self.bus.bucket(STATE_BUCKET);
        for event in events {
            for (kind, id, value) in self.models_of(event) {
                let key = state_key(&self.org, kind, &id);
                let put = match value {
                    Some(value) => bucket.put(&key, Bytes::from(value.to_string())).await.unwrap(),
                    None => bucket.delete(&key).await.unwrap(),
                };
                put.await.unwrap();
            }
        }
        let head = serde_json::to_vec(&Head { position, revision: self.head.revision }).unwrap();
        bucket.put(&head_key(&self.org), head.into()).await.unwrap().await.unwrap();
    }

    fn models_of(&self, event: &Event) -> Vec<(Kind, String, Option<Value>)> {
        let of = |id: ResourceId| (id.kind(), id.to_string(), self.state.find(id).map(|found| json!(found)));
        if let Event::RulesReordered { moved } = event {
            return moved.iter().map(|moved| of(moved.rule_id.into())).collect();
        }
        match event.kind() == Kind::Org {
            true => vec![(Kind::Org, self.org.to_string(), Some(json!(self.state.org)))],
            false => vec![of(event.subject(&self.org).parse().unwrap())],
        }
    }

    fn meta(&self, actor: &str, event: &Event) -> Meta {
        let revision = self.head.revision + 1;
        let at: chrono::DateTime<chrono::Utc> = AT.parse().unwrap();
        Meta {
            specversion: SpecVersion::V1,
            id: EventId::new(ulid(u128::from(revision))),
            source: "/orgs/acme".to_owned(),
            subject: event.subject(&self.org),
            time: at + chrono::TimeDelta::seconds(revision as i64),
            org: self.org.clone(),
            revision,
            actor: actor.to_owned(),
            credential: "tok_test".to_owned(),
            sourceip: Some("10.1.2.3".to_owned()),
            commandid: format!("command-{revision}"),
            commandhash: None,
            commandindex: None,
            correlationid: "op_test".to_owned(),
            prevhash: self.head.hash.clone(),
            traceparent: None,
        }
    }

    /// Writes a file of flows and adds it to the catalogue.
    pub(crate) async fn add_flows(&mut self, name: &str, rows: &[Row]) -> File {
        let file = write(self.store.path(), self.org.as_str(), name, rows);
        let id = CommitId::new(ulid(1_000 + u128::from(self.files)));
        let commit = FilesCommit {
            org: self.org.clone(),
            id,
            table: "flows".to_owned(),
            add: vec![file.clone()],
            remove: Vec::new(),
            covers: None,
        };
        let payload = Bytes::from(serde_json::to_vec(&commit).unwrap());
        self.files = self.bus.files().append(&self.org, self.files, id, payload).await.unwrap();
        file
    }

    pub(crate) fn request(&self, method: reqwest::Method, role: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(format!("nk_{role}"))
    }

    pub(crate) async fn answer(&self, role: &str, path: &str) -> reqwest::Response {
        self.request(reqwest::Method::GET, role, path).send().await.unwrap()
    }

    /// The body of a successful read.
    pub(crate) async fn get(&self, role: &str, path: &str) -> Value {
        let answer = self.answer(role, path).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Status and reason of a refused read.
    pub(crate) async fn refused(&self, role: &str, path: &str) -> (u16, String) {
        refusal(self.answer(role, path).await).await
    }

    pub(crate) async fn sql(&self, role: &str, query: &str) -> reqwest::Response {
        let body = json!({"query": query});
        self.request(reqwest::Method::POST, role, "/sql").json(&body).send().await.unwrap()
    }

    /// Asks again until the answer is as wanted.
    pub(crate) async fn until(&self, role: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let body = self.get(role, path).await;
            if wanted(&body) {
                return body;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path}: {body}");
        }
    }
}

pub(crate) async fn refusal(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["reason"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

fn give(keyring: &Keyring, org: &OrgId, word: &str, number: u128, role: Role, scopes: Vec<Scope>) {
    keyring.put(
        CredentialKey::Secret(SecretHash::of(&format!("nk_{word}"))),
        Credential::ApiToken {
            org: org.clone(),
            id: ApiTokenId::new(ulid(number)),
            owner_id: user(number),
            role,
            expires_at: None,
            scopes,
            revoked: false,
        },
    );
}
