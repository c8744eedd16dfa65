//! NATS auth callout: the server asks us who may connect, we answer with what a device may do.
//!
//! Protocol: nats-server's ADR-26. Requests and answers are JWTs signed with Ed25519 nkeys.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use futures::{Stream, StreamExt};
use nkeys::KeyPair;
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::connect::Bus;
use crate::error::{During, Error};

/// A connection that asks to be let in, its signature verified: the other side does hold the key that it names.
pub struct Admission {
    /// The device's NATS public user key.
    pub public_key: String,
    pub connection: Connection,
    user_nkey: String,
    reply: Option<async_nats::Subject>,
}

/// Where a device is connected, to end it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    pub server_id: String,
    pub client_id: u64,
}

/// Answers the server's questions.
#[derive(Clone)]
pub struct Callout {
    bus: Bus,
    issuer: std::sync::Arc<KeyPair>,
    account: String,
}

/// A device's admission ends after this and is asked for again: a lost kick costs no more than that.
const ADMISSION: Duration = Duration::from_secs(60 * 60);

/// A device listens to its configs and to its answers.
const SUBSCRIPTIONS_MAX: u32 = 16;
/// A flow batch of the most rows, and room.
const MESSAGE_BYTES_MAX: u32 = 4 << 20;

#[derive(Deserialize)]
struct Request {
    nats: RequestClaims,
}

#[derive(Deserialize)]
struct RequestClaims {
    server_id: ServerId,
    user_nkey: String,
    client_info: ClientInfo,
    connect_opts: ConnectOpts,
}

#[derive(Deserialize)]
struct ServerId {
    id: String,
}

#[derive(Deserialize)]
struct ClientInfo {
    id: u64,
    #[serde(default)]
    nonce: String,
}

#[derive(Deserialize)]
struct ConnectOpts {
    #[serde(default)]
    nkey: String,
    #[serde(default)]
    sig: String,
}

impl Callout {
    /// `bus` is a connection in the callout account; devices are placed in `account`.
    pub fn new(bus: Bus, issuer: KeyPair, account: &str) -> Self {
        Self { bus, issuer: std::sync::Arc::new(issuer), account: account.to_owned() }
    }

    /// The connections that ask to be let in; those without a proven key are refused here.
    pub async fn admissions(&self) -> Result<impl Stream<Item = Admission> + Send + use<>, Error> {
        let asked = self.bus.client.queue_subscribe("$SYS.REQ.USER.AUTH", "callout".to_owned()).await;
        let callout = self.clone();
        Ok(asked.during("listen for connections")?.filter_map(move |message| {
            let callout = callout.clone();
            async move {
                let (admission, proven) = read(&message)?;
                if proven {
                    return Some(admission);
                }
                let _ = callout.refuse(&admission, "the device key is not proven").await;
                None
            }
        }))
    }

    /// Lets a device in, to its own subjects.
    pub async fn admit(&self, admission: &Admission, org: &OrgId, device: DeviceId, now_s: i64) -> Result<(), Error> {
        let claims = json!({
            "sub": admission.user_nkey,
            "iss": self.issuer.public_key(),
            "aud": self.account,
            "name": device.to_string(),
            "iat": now_s,
            "exp": now_s + ADMISSION.as_secs() as i64,
            "nats": permissions(org, device),
        });
        let user = self.sign(&claims)?;
        self.answer(admission, now_s, json!({"jwt": user})).await
    }

    /// Refuses a connection.
    pub async fn refuse(&self, admission: &Admission, why: &str) -> Result<(), Error> {
        self.answer(admission, 0, json!({"error": why})).await
    }

    async fn answer(&self, admission: &Admission, now_s: i64, mut nats: Value) -> Result<(), Error> {
        let Some(reply) = admission.reply.clone() else { return Ok(()) };
        nats["type"] = "authorization_response".into();
        nats["version"] = 2.into();
        let claims = json!({
            "sub": admission.user_nkey,
            "iss": self.issuer.public_key(),
            "aud": admission.connection.server_id,
            "iat": now_s,
            "nats": nats,
        });
        let answer = self.sign(&claims)?;
        self.bus.client.publish(reply, answer.into()).await.during("answer a connection")
    }

    fn sign(&self, claims: &Value) -> Result<String, Error> {
        let header = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.issuer.sign(signed.as_bytes()).during("sign an admission")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl Bus {
    /// Ends a connection at once. For a connection in the system account.
    pub async fn kick(&self, connection: &Connection) -> Result<(), Error> {
        let subject = format!("$SYS.REQ.SERVER.{}.KICK", connection.server_id);
        let payload = json!({"cid": connection.client_id}).to_string();
        self.client.request(subject, payload.into()).await.during("end a connection").map(|_| ())
    }
}

/// What a device may do: publish what is its own to say, read what is its own to know.
fn permissions(org: &OrgId, device: DeviceId) -> Value {
    let config = subjects::device_config(org, device);
    json!({
        "type": "user",
        "version": 2,
        "pub": {"allow": [
            format!("agent.{org}.{device}.>"),
            subjects::flows(org, device),
            format!("$JS.API.DIRECT.GET.{}.{config}", subjects::DEVICES),
        ]},
        "sub": {"allow": [format!("device.{org}.{device}.>"), format!("{}.>", subjects::device_inbox(device))]},
        "subs": SUBSCRIPTIONS_MAX,
        "data": -1,
        "payload": MESSAGE_BYTES_MAX,
    })
}

/// Reads a question, and whether the nonce is signed with the key it names.
fn read(message: &async_nats::Message) -> Option<(Admission, bool)> {
    let token = std::str::from_utf8(&message.payload).ok()?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Request { nats } = serde_json::from_slice(&claims).ok()?;
    let proven = is_proven(&nats.connect_opts, &nats.client_info.nonce);
    let admission = Admission {
        public_key: nats.connect_opts.nkey,
        connection: Connection { server_id: nats.server_id.id, client_id: nats.client_info.id },
        user_nkey: nats.user_nkey,
        reply: message.reply.clone(),
    };
    Some((admission, proven))
}

fn is_proven(options: &ConnectOpts, nonce: &str) -> bool {
    let signature =
        [URL_SAFE_NO_PAD.decode(&options.sig), URL_SAFE.decode(&options.sig), STANDARD.decode(&options.sig)];
    let key = KeyPair::from_public_key(&options.nkey);
    let Ok(key) = key else { return false };
    !nonce.is_empty()
        && signature.into_iter().flatten().any(|signature| key.verify(nonce.as_bytes(), &signature).is_ok())
}
