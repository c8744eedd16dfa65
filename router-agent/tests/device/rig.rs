//! An agent with a real bus, and a test in the place of its control plane.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int16Type, Int32Type, Int64Type};
use base64::Engine;
use bus::topology::Topology;
use bus::{Bus, BusAuth};
use futures::StreamExt;
use nkeys::KeyPair;
use router_agent::{Agent, Config};
use schemas::agent::{Outcome, ReportAnswer};
use schemas::config::{DeviceConfig, Ruleset, RulesetRule, RulesetService, RulesetZone};
use schemas::device::{Device, Enrolled, Enrolment, Mode};
use schemas::flow::{ADDRESS_BYTES, address_of, decode};
use schemas::id::{DeviceId, OrgId, RuleId, SetupKeyId, Ulid};
use schemas::rule::Action;
use schemas::service::{PortRange, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    bus: Bus,
    org: OrgId,
    device: DeviceId,
    key: KeyPair,
    outcomes: mpsc::Receiver<(u64, Outcome)>,
    batches: bus::flows::FlowBatches,
    stop: CancellationToken,
    agent: tokio::task::JoinHandle<Result<(), router_agent::Error>>,
    _server: Running,
}

impl Rig {
    /// Starts a bus and an agent with its state in `folder`.
    pub(crate) async fn start(nats: &Path, folder: &Path, adjust: impl FnOnce(Config) -> Config) -> Self {
        let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut server = Command::new(nats);
        server.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(folder.join("jetstream"));
        let server = Running(server.stderr(Stdio::null()).spawn().unwrap());
        let urls = [format!("nats://127.0.0.1:{port}")];
        let deadline = Instant::now() + PATIENCE;
        let bus = loop {
            match Bus::connect(&urls, &BusAuth::None, "test").await {
                Ok(bus) => break bus,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            // Between two attempts.
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        bus.ensure(&Topology { flows_bytes_max: 64 << 20, ..Topology::default() }).await.unwrap();
        let (org, device) = ("acme".parse::<OrgId>().unwrap(), DeviceId::new(Ulid::from_parts(9, 9)));
        let key = KeyPair::new_account();
        let url = control_plane(org.clone(), device, key.public_key(), urls[0].clone()).await;
        let outcomes = answer_reports(&bus).await;
        let stop = CancellationToken::new();
        let agent = Agent::bind(adjust(config(url, folder.join("agent")))).unwrap();
        let agent = tokio::spawn(agent.run(stop.clone()));
        let batches = bus.flow_batches("test").await.unwrap();
        Self { bus, org, device, key, outcomes, batches, stop, agent, _server: server }
    }

    /// Pushes a ruleset and waits until the device says that it is applied.
    pub(crate) async fn push(&mut self, revision: u64, rules: Vec<RulesetRule>) {
        let zone = |name: &str, interface: &str| RulesetZone {
            name: name.parse().unwrap(),
            interfaces: vec![interface.parse().unwrap()],
        };
        let config = DeviceConfig {
            org: self.org.clone(),
            device: self.device,
            revision,
            mode: Mode::Enforce,
            ruleset: Ruleset { zones: vec![zone("LAN", "lan0"), zone("WAN", "wan0")], rules, ..Ruleset::default() },
        };
        let text = serde_json::to_string(&config).unwrap();
        let signature = base64::engine::general_purpose::STANDARD.encode(self.key.sign(text.as_bytes()).unwrap());
        let signed = format!(r#"{{"config":{text},"signature":"{signature}"}}"#);
        self.bus.push_config(&self.org, self.device, signed.into()).await.unwrap();
        let outcome = timeout(PATIENCE, self.outcomes.recv()).await.expect("a report in time").unwrap();
        assert_eq!(outcome, (revision, Outcome::Applied));
    }

    pub(crate) async fn rows_until(&mut self, enough: impl Fn(&[Row]) -> bool) -> Vec<Row> {
        let (mut rows, mut numbers, deadline) = (Vec::new(), Vec::new(), Instant::now() + PATIENCE);
        while !enough(&rows) {
            assert!(Instant::now() < deadline, "only these rows came: {rows:#?}");
            for message in self.batches.next(16, 8 << 20, Duration::from_millis(300)).await.unwrap() {
                numbers.push(message.batch);
                decode(&message.payload).unwrap().iter().for_each(|batch| rows.extend(read(batch)));
                message.ack().await.unwrap();
            }
        }
        assert!(numbers.iter().zip(1..).all(|(number, expected)| *number == expected), "{numbers:?}");
        rows
    }

    pub(crate) async fn stop_agent(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.agent).await.expect("it stops in time").unwrap().unwrap();
    }
}

fn config(url: String, state_dir: PathBuf) -> Config {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }
    let given = ["agent", "--setup-key", "nks_test", "--window-ms", "300", "--heartbeat-ms", "200", "--name", "edge"];
    let cli = <Cli as clap::Parser>::parse_from(given);
    Config { url, state_dir, interfaces: vec!["lan0=LAN".parse().unwrap(), "wan0=WAN".parse().unwrap()], ..cli.config }
}

pub(crate) fn block_telnet() -> RulesetRule {
    RulesetRule {
        id: RuleId::new(Ulid::from_parts(5, 5)).into(),
        number: 17,
        zone_from: "LAN".parse().unwrap(),
        zone_to: "WAN".parse().unwrap(),
        sources: vec!["any".parse().unwrap()],
        sources_negated: false,
        destinations: vec!["any".parse().unwrap()],
        destinations_negated: false,
        services: vec![RulesetService { protocol: Protocol::TCP, ports: vec![PortRange::new(23, 23).unwrap()] }],
        action: Action::Drop,
        log: false,
        log_only: false,
        schedule: None,
        expires_at: None,
    }
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) direction: String,
    pub(crate) zones: String,
    pub(crate) destination: String,
    pub(crate) port: i32,
    pub(crate) protocol: i16,
    pub(crate) packets: [i64; 2],
    pub(crate) bytes: [i64; 2],
    pub(crate) verdict: String,
    pub(crate) source: String,
    pub(crate) rule: Option<String>,
    pub(crate) revision: i64,
}

fn read(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let label = |name: &str, row: usize| {
        let labels = column(name).as_dictionary::<Int32Type>();
        let values = labels.values().as_string::<i32>();
        labels.key(row).map(|key| values.value(key).to_owned())
    };
    let int = |name: &str, row: usize| column(name).as_primitive::<Int64Type>().value(row);
    let read = |row: usize| {
        let destination = column("dst").as_fixed_size_binary();
        assert_eq!(destination.value_length(), ADDRESS_BYTES);
        Row {
            direction: label("direction", row).unwrap(),
            zones: [label("zone_from", row), label("zone_to", row)].map(Option::unwrap_or_default).join(">"),
            destination: address_of(destination.value(row).try_into().unwrap()).to_string(),
            port: column("dst_port").as_primitive::<Int32Type>().value(row),
            protocol: column("protocol").as_primitive::<Int16Type>().value(row),
            packets: [int("packets_sent", row), int("packets_received", row)],
            bytes: [int("bytes_sent", row), int("bytes_received", row)],
            verdict: label("verdict", row).unwrap(),
            source: label("verdict_source", row).unwrap(),
            rule: label("rule", row),
            revision: int("revision", row),
        }
    };
    (0..batch.num_rows()).map(read).collect()
}

/// Answers enrolments as the control plane does.
async fn control_plane(org: OrgId, device: DeviceId, config_key: String, bus_url: String) -> String {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
            let enrolment: Enrolment = loop {
                let size = stream.read(&mut buffer).await.unwrap();
                request.extend(&buffer[..size]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body));
                if let Some(Ok(enrolment)) = body {
                    break enrolment;
                }
            };
            let enrolled = Enrolled {
                org: org.clone(),
                device: new_device(device, enrolment),
                nats_urls: vec![bus_url.clone()],
                config_key: config_key.clone(),
            };
            let body = serde_json::to_string(&enrolled).unwrap();
            let head = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    url
}

fn new_device(id: DeviceId, enrolment: Enrolment) -> Device {
    serde_json::from_value(serde_json::json!({
        "id": id, "revision": 1, "name": enrolment.name, "public_key": enrolment.public_key,
        "agent_version": enrolment.agent_version, "setup_key_id": SetupKeyId::default(), "mode": "enforce",
        "interfaces": enrolment.interfaces, "applied": null, "failure": null,
        "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00Z",
    }))
    .unwrap()
}

async fn answer_reports(bus: &Bus) -> mpsc::Receiver<(u64, Outcome)> {
    let (sender, outcomes) = mpsc::channel(16);
    let mut reports = Box::pin(bus.reports().await.unwrap());
    tokio::spawn(async move {
        while let Some(request) = reports.next().await {
            let told = (request.report.revision, request.report.outcome.clone());
            request.answer(&ReportAnswer::Recorded { position: 1 }).await.unwrap();
            if sender.send(told).await.is_err() {
                return;
            }
        }
    });
    outcomes
}

pub(crate) fn nats_server() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
    path.canonicalize().ok()
}

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
