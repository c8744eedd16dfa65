//! The peer of the write side: a bare JetStream publish loop, on a server configured alike.

use std::process::Stdio;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::rig::{free, wait_for};

pub(crate) struct BareNats {
    context: jetstream::Context,
    _child: Child,
    _data: TempDir,
}

impl BareNats {
    pub(crate) async fn start() -> Self {
        let data = TempDir::new().unwrap();
        let listen = free("127.0.0.1:0".parse().unwrap());
        let config = data.path().join("nats.conf");
        let store = data.path().join("data");
        let text = format!("listen: \"{listen}\"\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n");
        std::fs::write(&config, text).unwrap();
        let tools = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
        let program = if tools.exists() { tools } else { "nats-server".into() };
        let child =
            Command::new(program).arg("-c").arg(config).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        wait_for("the bare nats-server", async || tokio::net::TcpStream::connect(listen).await.is_ok()).await;
        let client = async_nats::connect(listen.to_string()).await.unwrap();
        let context = jetstream::new(client);
        let stream = jetstream::stream::Config {
            name: "BARE".to_owned(),
            subjects: vec!["bare.*".to_owned()],
            ..jetstream::stream::Config::default()
        };
        context.create_stream(stream).await.unwrap();
        Self { context, _child: child, _data: data }
    }

    /// The same under the check that an event log needs: the subject's last sequence is the expected one.
    pub(crate) async fn publish_checked(&self, bytes: usize, expected: &mut u64) -> Duration {
        let payload = Bytes::from(vec![b'x'; bytes]);
        let message = PublishMessage::build().expected_last_subject_sequence(*expected).payload(payload);
        let start = Instant::now();
        *expected = self.context.send_publish("bare.checked", message).await.unwrap().await.unwrap().sequence;
        start.elapsed()
    }

    /// Publishes one message of so many bytes and waits for its acknowledgement.
    pub(crate) async fn publish(&self, bytes: usize) -> Duration {
        let payload = Bytes::from(vec![b'x'; bytes]);
        let start = Instant::now();
        self.context.publish("bare.a", payload).await.unwrap().await.unwrap();
        start.elapsed()
    }
}
