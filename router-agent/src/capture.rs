//! Live packets: one thread for each interface of a zone, with pnet over a socket that is prepared for load.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pnet_datalink::{Channel, DataLinkReceiver, NetworkInterface};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::now_us;
use crate::packet::{self, Link};
use crate::pipeline::Pipeline;
use crate::running::RunningWatch;
use crate::socket::{PacketSocket, Statistics};

/// Interfaces come and go: how often that is looked after.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// How long a thread waits for a packet before it looks whether to stop.
const READ_TIMEOUT: Duration = Duration::from_millis(200);
const READ_BUFFER_BYTES: usize = 65_536;

/// Captures the interfaces of the zones in force until stopped; a new ruleset may change them.
pub(crate) async fn run(pipeline: Arc<Pipeline>, mut running: RunningWatch, stop: CancellationToken) {
    let mut captures = Captures { pipeline, threads: BTreeMap::new(), own: Vec::new(), missing: Vec::new() };
    let mut tick = tokio::time::interval(LOOK_AFTER);
    loop {
        let wanted = running.borrow_and_update().interfaces();
        captures.adjust(&wanted);
        tokio::select! {
            () = stop.cancelled() => break,
            changed = running.changed() => if changed.is_err() { break },
            _ = tick.tick() => {}
        }
    }
    captures.adjust(&[]);
}

struct Captures {
    pipeline: Arc<Pipeline>,
    threads: BTreeMap<String, Capture>,
    /// The device's addresses: what it sends itself is captured on its way out.
    own: Vec<IpAddr>,
    /// Interfaces whose absence was logged.
    missing: Vec<String>,
}

/// A thread that captures one interface.
struct Capture {
    index: u32,
    stop: Arc<AtomicBool>,
    statistics: Statistics,
    thread: JoinHandle<()>,
}

impl Captures {
    fn adjust(&mut self, wanted: &[String]) {
        let present = pnet_datalink::interfaces();
        let mut own: Vec<IpAddr> = present.iter().flat_map(|one| &one.ips).map(|network| network.ip()).collect();
        own.sort();
        own.dedup();
        let readdressed = own != self.own;
        self.own = own;
        let find = |name: &str| present.iter().find(|one| one.name == name);

        let names: Vec<String> = self.threads.keys().cloned().collect();
        for name in names {
            let keep = wanted.contains(&name) && !readdressed;
            self.look_after(&name, keep, find(&name).map(|interface| interface.index));
        }
        for name in wanted {
            if self.threads.contains_key(name) {
                continue;
            }
            let started = match find(name) {
                Some(interface) => self.start(interface),
                None => Err(io::Error::new(io::ErrorKind::NotFound, "there is no such interface")),
            };
            match started {
                Ok(()) => {
                    self.missing.retain(|one| one != name);
                    info!("interface {name} is captured");
                }
                Err(error) if !self.missing.contains(name) => {
                    warn!("interface {name} cannot be captured yet: {error}");
                    self.missing.push(name.clone());
                }
                Err(_) => {}
            }
        }
        self.missing.retain(|one| wanted.contains(one));
    }

    /// Counts what the kernel dropped, and ends a capture that is not wanted, or whose interface is another one.
    fn look_after(&mut self, name: &str, wanted: bool, index: Option<u32>) {
        let Some(capture) = self.threads.get(name) else { return };
        self.pipeline.count_missed(capture.statistics.dropped().unwrap_or(0));
        let lives = !capture.thread.is_finished() && index == Some(capture.index);
        if wanted && lives {
            return;
        }
        if let Some(capture) = self.threads.remove(name) {
            // It ends by itself within its read timeout; a packet that it still reads counts.
            capture.stop.store(true, Ordering::Relaxed);
        }
    }

    fn start(&mut self, interface: &NetworkInterface) -> io::Result<()> {
        let socket = PacketSocket::new(&self.own)?;
        let statistics = socket.statistics()?;
        let config = pnet_datalink::Config {
            socket_fd: Some(socket.into_raw_fd()),
            read_buffer_size: READ_BUFFER_BYTES,
            read_timeout: Some(READ_TIMEOUT),
            promiscuous: false,
            ..pnet_datalink::Config::default()
        };
        let receiver = match pnet_datalink::channel(interface, config)? {
            Channel::Ethernet(_, receiver) => receiver,
            _ => return Err(io::Error::other("the interface gives no frames")),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            receiver,
            link: link_of(&interface.name),
            name: Arc::from(interface.name.as_str()),
            pipeline: Arc::clone(&self.pipeline),
            stop: Arc::clone(&stop),
        };
        let thread = thread::Builder::new().name(format!("capture-{}", interface.name)).spawn(move || reader.run())?;
        let capture = Capture { index: interface.index, stop, statistics, thread };
        self.threads.insert(interface.name.clone(), capture);
        Ok(())
    }
}

struct Reader {
    receiver: Box<dyn DataLinkReceiver>,
    link: Link,
    name: Arc<str>,
    pipeline: Arc<Pipeline>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    /// Reads until told to stop or until the interface fails; whoever looks after it begins again.
    fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            match self.receiver.next() {
                Ok(frame) => {
                    if let Some(packet) = packet::parse(self.link, frame) {
                        self.pipeline.observe(&packet, &self.name, now_us());
                    }
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    warn!("interface {} cannot be read: {error}", self.name);
                    return;
                }
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// What frames of an interface begin with: `ARPHRD_NONE`, `_PPP`, `_RAWIP` and the IP tunnels have no link layer.
fn link_of(interface: &str) -> Link {
    let kind = std::fs::read_to_string(format!("/sys/class/net/{interface}/type"));
    match kind.ok().and_then(|text| text.trim().parse::<u32>().ok()) {
        Some(512 | 519 | 65_534 | 768 | 769 | 776 | 778 | 823) => Link::Ip,
        _ => Link::Ethernet,
    }
}
