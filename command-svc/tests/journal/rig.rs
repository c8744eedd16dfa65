//! A journal with the servers that it needs.

use bus::Bus;
use bytes::Bytes;
use command_svc::journal::{Choice, Journal};
use schemas::commit::Commit;
use schemas::id::{CommitId, OrgId, Ulid};

#[cfg(feature = "eventstore")]
use crate::esdb_stub::Stub;
use crate::nats::Nats;

pub(crate) struct Rig {
    pub(crate) nats: Nats,
    pub(crate) bus: Bus,
    #[cfg(feature = "eventstore")]
    pub(crate) stub: Option<Stub>,
    choice: Choice,
    /// Keeps runs against one server apart.
    run: String,
}

impl Rig {
    pub(crate) async fn jetstream() -> Self {
        let (nats, bus) = Nats::start().await;
        let choice = "jetstream".parse().unwrap();
        Self {
            nats,
            bus,
            #[cfg(feature = "eventstore")]
            stub: None,
            choice,
            run: String::new(),
        }
    }

    #[cfg(feature = "eventstore")]
    pub(crate) async fn event_store() -> Self {
        let (nats, bus) = Nats::start().await;
        let stub = Stub::start().await;
        let choice = stub.url().parse().unwrap();
        Self { nats, bus, stub: Some(stub), choice, run: String::new() }
    }

    #[cfg(feature = "eventstore")]
    pub(crate) async fn live(url: &str) -> Self {
        let (nats, bus) = Nats::start().await;
        let run = Ulid::from_parts(0, u128::from(std::process::id()) << 40 | u128::from(nanos())).to_string();
        Self { nats, bus, stub: None, choice: url.parse().unwrap(), run: format!("-{}", run.to_lowercase()) }
    }

    /// A journal as one replica has it.
    pub(crate) async fn replica(&self) -> Journal {
        self.choice.clone().open(&self.nats.connect().await).unwrap()
    }

    #[cfg(feature = "eventstore")]
    pub(crate) fn stub(&self) -> &Stub {
        self.stub.as_ref().expect("a rig with a stub")
    }

    /// Whether this is a server of the user's.
    pub(crate) fn is_live(&self) -> bool {
        !self.run.is_empty()
    }

    pub(crate) fn org(&self, name: &str) -> OrgId {
        format!("{name}{}", self.run).parse().unwrap()
    }

    /// What the bus holds of an org.
    pub(crate) async fn on_the_bus(&self, org: &OrgId) -> Vec<Bytes> {
        self.bus.events().replay(org, 0).await.unwrap().into_iter().map(|message| message.payload).collect()
    }
}

#[cfg(feature = "eventstore")]
fn nanos() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::from(since.subsec_nanos())
}

/// A commit without events. Its id is of this org and number alone: the bus takes no id twice.
pub(crate) fn commit(org: &OrgId, number: u64) -> (CommitId, Bytes) {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    org.hash(&mut hasher);
    let id = CommitId::new(Ulid((u128::from(hasher.finish()) << 64) | u128::from(number)));
    (id, Bytes::from(format!(r#"{{"org":"{org}","id":"{id}","events":[]}}"#)))
}

/// The number of a commit that was made here.
pub(crate) fn number(message: &[u8]) -> u64 {
    Commit::parse(message).unwrap().id.ulid().0 as u64
}
