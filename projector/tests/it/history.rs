//! An org's events as command-svc writes them.

use bus::Bus;
use bytes::Bytes;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use schemas::commit::{ChainHead, Commit};
use schemas::event::{Event, Meta, Recorded, SecretHash, SpecVersion};
use schemas::id::{ApiTokenId, CommitId, DeviceId, EventId, OrgId, RuleId, Ulid, UserId};
use schemas::kind::Kind;
use schemas::resource::ResourceId;
use schemas::rule::MovedRule;
use schemas::state::OrgState;
use schemas::subjects;
use schemas::view::Head;
use serde_json::json;
use serde_json::value::RawValue;

use crate::nats::eventually;

pub(crate) struct History {
    pub(crate) org: OrgId,
    pub(crate) state: OrgState,
    pub(crate) position: u64,
    pub(crate) time: DateTime<Utc>,
    chain: ChainHead,
}

impl History {
    pub(crate) fn new(org: &str) -> Self {
        let org = org.parse().unwrap();
        let time = now() - TimeDelta::hours(1);
        Self { org, state: OrgState::default(), position: 0, time, chain: ChainHead::default() }
    }

    /// The next commit of the org, with its position in the chain.
    pub(crate) fn commit(&mut self, events: Vec<Event>) -> (CommitId, Vec<(Recorded, String)>) {
        let recorded = events.into_iter().map(|event| self.record(event)).collect();
        (CommitId::new(ulid()), recorded)
    }

    /// Appends events as one commit, and says its position.
    pub(crate) async fn append(&mut self, bus: &Bus, events: Vec<Event>) -> u64 {
        let (id, events) = self.commit(events);
        let events = events.into_iter().map(|(_, stored)| RawValue::from_string(stored).unwrap()).collect();
        self.append_raw(bus, &Commit { org: self.org.clone(), id, events }).await
    }

    pub(crate) async fn append_raw(&mut self, bus: &Bus, commit: &Commit) -> u64 {
        let payload = Bytes::from(serde_json::to_vec(commit).unwrap());
        self.position = bus.events().append(&self.org, self.position, commit.id, payload).await.unwrap();
        self.position
    }

    /// Waits until the read models are where this history is.
    pub(crate) async fn visible(&self, bus: &Bus) -> Head {
        let bucket = bus.bucket(subjects::STATE_BUCKET);
        let key = subjects::head_key(&self.org);
        eventually("the head", async || {
            let (_, value) = bucket.read(&key).await.unwrap()?;
            let head: Head = serde_json::from_slice(&value).unwrap();
            (head.position >= self.position).then_some(head)
        })
        .await
    }

    fn record(&mut self, event: Event) -> (Recorded, String) {
        let meta = Meta {
            specversion: SpecVersion::V1,
            id: EventId::new(ulid()),
            source: format!("/orgs/{}", self.org),
            subject: event.subject(&self.org),
            time: self.time,
            org: self.org.clone(),
            revision: self.chain.revision + 1,
            actor: "system".to_owned(),
            credential: "none".to_owned(),
            sourceip: None,
            commandid: "op_1".to_owned(),
            commandhash: None,
            commandindex: None,
            correlationid: "op_1".to_owned(),
            prevhash: self.chain.hash.clone(),
            traceparent: None,
        };
        let recorded = Recorded { meta, event };
        let stored = serde_json::to_string(&recorded).unwrap();
        self.chain = self.chain.next(&stored);
        self.state.apply(&recorded);
        (recorded, stored)
    }

    pub(crate) fn org_created(&self) -> Event {
        let at = self.time;
        of(
            json!({"org": {"id": self.org, "revision": 1, "name": "Acme", "created_at": at, "updated_at": at}}),
            "org.created",
        )
    }

    pub(crate) fn user_created(&self, id: UserId) -> Event {
        let at = self.time;
        of(
            json!({"user": {"id": id, "revision": 2, "role": "owner", "created_at": at, "updated_at": at}}),
            "user.created",
        )
    }

    pub(crate) fn token_created(&self, id: ApiTokenId, owner_id: UserId, secret: &str) -> Event {
        let at = self.time;
        let token = json!({"id": id, "revision": 3, "name": id.to_string(), "description": "", "owner_id": owner_id,
            "role": "owner", "prefix": "nk_", "expires_at": null, "created_at": at, "updated_at": at});
        of(json!({"api_token": token, "secret_hash": SecretHash::of(secret)}), "api_token.created")
    }

    pub(crate) fn rule_created(&self, id: RuleId, port: u16) -> Event {
        let number = self.state.number_last + 1;
        of(json!({"rule": self.rule(id, number, port)}), "rule.created")
    }

    pub(crate) fn rule_updated(&self, id: RuleId, port: u16) -> Event {
        let number = self.state.rules.get(&id).unwrap().number;
        of(json!({"rule": self.rule(id, number, port), "changed": ["ports"]}), "rule.updated")
    }

    pub(crate) fn device_enrolled(&self, id: DeviceId) -> Event {
        let at = self.time;
        let device = json!({"id": id, "revision": self.state.revision + 1, "name": id.to_string(), "description": "",
            "metadata": {}, "public_key": format!("U{id}"), "agent_version": "1", "setup_key_id": format!("skey_{}", plain(ulid())),
            "mode": "enforce", "interfaces": [{"name": "eth0", "zone": "WAN"}, {"name": "eth1", "zone": "LAN"}],
            "applied": null, "failure": null, "created_at": at, "updated_at": at});
        of(json!({"device": device}), "device.enrolled")
    }

    pub(crate) fn config_applied(&self, id: DeviceId, revision: u64, hash: &str) -> Event {
        of(json!({"id": id, "applied": {"revision": revision, "hash": hash, "at": self.time}}), "device.config_applied")
    }

    fn rule(&self, id: RuleId, number: u32, port: u16) -> serde_json::Value {
        let at = self.time;
        json!({"id": id, "revision": self.state.revision + 1, "number": number, "name": id.to_string(),
            "description": "", "metadata": {}, "enabled": true, "order": number, "zone_from": "WAN", "zone_to": "LAN",
            "sources": ["any"], "destinations": ["any"], "protocol": "tcp", "ports": [port.to_string()], "action": "drop",
            "log": false, "created_at": at, "updated_at": at})
    }
}

pub(crate) fn rules_reordered(places: &[(RuleId, u32)]) -> Event {
    let moved = places.iter().map(|(rule_id, order)| MovedRule { rule_id: *rule_id, order: *order }).collect();
    Event::RulesReordered { moved }
}

/// The value of a read model.
pub(crate) async fn model(bus: &Bus, org: &OrgId, kind: Kind, id: &str) -> Option<serde_json::Value> {
    let found = bus.bucket(subjects::STATE_BUCKET).read(&subjects::state_key(org, kind, id)).await.unwrap();
    found.map(|(_, value)| serde_json::from_slice(&value).unwrap())
}

pub(crate) fn ulid() -> Ulid {
    Ulid::from_parts(now().timestamp_millis().unsigned_abs(), rand::random())
}

#[expect(clippy::disallowed_methods, reason = "the feed leaves out what is old")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

fn plain(ulid: Ulid) -> String {
    ulid.to_string().to_lowercase()
}

pub(crate) fn deleted(id: impl Into<ResourceId>) -> Event {
    Event::Deleted { id: id.into(), secret_hash: None, public_key: None }
}

fn of(data: serde_json::Value, name: &str) -> Event {
    read(json!({"type": format!("netkeep.{name}.v1"), "data": data}))
}

/// Reads an event that is stored without its attributes.
pub(crate) fn read(mut event: serde_json::Value) -> Event {
    let attributes = json!({"specversion": "1.0", "id": EventId::new(ulid()), "source": "/orgs/acme", "subject": "",
        "time": now(), "org": "acme", "revision": 1, "actor": "", "credential": "", "commandid": "",
        "correlationid": "", "prevhash": ""});
    event.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    Recorded::parse(&event.to_string()).unwrap().event
}
