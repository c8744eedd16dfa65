//! Ephemeral devices on a real bus: who falls silent goes, and nobody goes because nobody listened.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use bus::device::DeviceBus;
use command_svc::clock::random_ulid;
use command_svc::ephemeral::{self, Config};
use command_svc::journal::Journal;
use command_svc::orgs::Orgs;
use command_svc::secrets::{SecretKind, Secrets};
use command_svc::submission::{Accepted, Failure, Options, Origin};
use schemas::access::Role;
use schemas::agent::Heartbeat;
use schemas::command::Command;
use schemas::commit::Commit;
use schemas::device::{Device, Enrolment};
use schemas::event::{Event, Recorded};
use schemas::id::{DeviceId, OperationId, OrgId};
use schemas::kind::Kind;
use schemas::reason::Reason;
use schemas::setup_key::NewSetupKey;
use schemas::subjects;
use schemas::text::Name;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::nats::{Nats, eventually};

const OFFLINE: Duration = Duration::from_secs(2);
const CONFIG: Config = Config { offline: OFFLINE, look: Duration::from_millis(200) };

struct Town {
    nats: Nats,
    bus: Bus,
    orgs: Orgs,
    org: OrgId,
}

impl Town {
    async fn start() -> Self {
        let (nats, bus) = Nats::start().await;
        let orgs = Orgs::new(Journal::jetstream(&bus), Arc::new(|_, _| {}), Secrets::new([7; 32]));
        let town = Self { nats, bus, orgs, org: "acme".parse().unwrap() };
        town.submit(Command::CreateOrg { name: Name::new("a").unwrap() }).await.unwrap();
        town
    }

    async fn submit(&self, command: Command) -> Result<serde_json::Value, Failure> {
        let origin = Origin::of("usr", "tok", Role::Owner, OperationId::new(random_ulid()));
        let options = Options { command_id: random_ulid().to_string(), ..Options::default() };
        match self.orgs.submit(&self.org, command, origin, options).await? {
            Accepted::Done(answer) => Ok(answer.body),
            Accepted::Would { .. } => panic!("it was no dry run"),
        }
    }

    /// Enrols a device with a key of its own, and shows it as the projector does.
    async fn device(&self, name: &str, ephemeral: bool) -> DeviceId {
        let new: NewSetupKey = serde_json::from_value(json!({"name": name, "ephemeral": ephemeral})).unwrap();
        let key = self.submit(Command::Create(new.into())).await.unwrap();
        let secret = Secrets::new([7; 32]).derive(SecretKind::SetupKey, &self.org, key["id"].as_str().unwrap());
        let enrolment: Enrolment =
            serde_json::from_value(json!({"setup_key": secret, "public_key": format!("U{name}"), "name": name}))
                .unwrap();
        let body = self.submit(Command::EnrolDevice(enrolment)).await.unwrap();
        let device: Device = serde_json::from_value(body.clone()).unwrap();
        let key = subjects::state_key(&self.org, Kind::Device, &device.id.to_string());
        let put = self.bus.bucket(subjects::STATE_BUCKET).put(&key, body.to_string().into()).await.unwrap();
        put.await.unwrap();
        device.id
    }

    /// The loop, as one process runs it.
    async fn watch(&self) -> (CancellationToken, JoinHandle<Result<(), bus::Error>>) {
        let stop = CancellationToken::new();
        let bus = self.nats.connect().await;
        (stop.clone(), tokio::spawn(ephemeral::run(bus, self.orgs.clone(), CONFIG, stop)))
    }

    /// Who removed which device.
    async fn removed(&self) -> Vec<(String, DeviceId)> {
        let log = self.bus.events().replay(&self.org, 0).await.unwrap_or_default();
        let events = log.iter().flat_map(|message| Commit::parse(&message.payload).unwrap().events);
        let recorded = events.map(|event| Recorded::parse(event.get()).unwrap());
        let gone = recorded.filter_map(|it| {
            let Event::Deleted { id, .. } = it.event else { return None };
            Some((it.meta.actor, DeviceId::try_from(id).unwrap()))
        });
        gone.collect()
    }

    /// Heartbeats of a device, until the task is aborted.
    async fn heart(&self, device: DeviceId) -> JoinHandle<()> {
        let seed = nkeys::KeyPair::new_user().seed().unwrap();
        let connection = DeviceBus::connect(&[self.nats.url()], &seed, self.org.clone(), device).await.unwrap();
        tokio::spawn(async move {
            loop {
                // A device that cannot send tries again, as the agent does.
                let _ = connection.heartbeat(&Heartbeat::default()).await;
                // The pace of the heart, not a wait for anything.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    }
}

async fn elapsed(since: Instant, time: Duration) {
    eventually("time passes", async || (since.elapsed() >= time).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_ephemeral_device_leaves_and_no_other_does() {
    let town = Town::start().await;
    let silent = town.device("silent", true).await;
    let alive = town.device("alive", true).await;
    let lasting = town.device("lasting", false).await;
    let heart = town.heart(alive).await;
    let start = Instant::now();
    let (stop, running) = town.watch().await;
    let removed = eventually("a removal", async || Some(town.removed().await).filter(|it| !it.is_empty())).await;
    assert!(start.elapsed() >= OFFLINE, "it counts from its own start: {:?}", start.elapsed());
    assert_eq!(removed, [("system".to_owned(), silent)]);
    elapsed(start, 2 * OFFLINE + CONFIG.look).await;
    assert_eq!(town.removed().await.len(), 1, "who is heard of stays");
    // It falls silent too, and another process takes over meanwhile.
    heart.abort();
    let fell_silent = Instant::now();
    stop.cancel();
    running.await.unwrap().unwrap();
    let (stop, running) = town.watch().await;
    eventually("the other one goes", async || (town.removed().await.len() == 2).then_some(())).await;
    assert!(fell_silent.elapsed() >= OFFLINE);
    assert_eq!(town.removed().await[1], ("system".to_owned(), alive));
    let gone = town.submit(Command::Delete(silent.into())).await.unwrap_err();
    assert_eq!(gone.reason(), Reason::ResourceNotFound);
    town.submit(Command::Patch(lasting.into(), serde_json::Map::new())).await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_leaves_because_the_bus_was_away() {
    let mut town = Town::start().await;
    let device = town.device("edge", true).await;
    let heart = town.heart(device).await;
    let (stop, running) = town.watch().await;
    town.nats.kill();
    let down = Instant::now();
    elapsed(down, OFFLINE + OFFLINE / 2).await;
    town.nats.start_again();
    let up = Instant::now();
    elapsed(up, 2 * OFFLINE).await;
    assert_eq!(town.removed().await, []);
    heart.abort();
    eventually("it goes when it falls silent", async || (town.removed().await.len() == 1).then_some(())).await;
    stop.cancel();
    running.await.unwrap().unwrap();
}
