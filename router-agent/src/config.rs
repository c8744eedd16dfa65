//! What the agent is told on its command line and in its environment.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemas::device::{Interface, InterfaceName};
use schemas::text::Name;
use schemas::zone::ZoneName;

/// Runs on a device: enrols it, enforces its rules, reports its traffic.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// The control plane's API.
    #[arg(long, env = "NETKEEP_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,

    /// The secret of a setup key (`nks_…`); needed until the device is enrolled.
    #[arg(long, env = "NETKEEP_SETUP_KEY", hide_env_values = true)]
    pub setup_key: Option<String>,

    /// Where the device keeps its key, its last good config and what it could not send yet.
    #[arg(long, env = "NETKEEP_AGENT_STATE_DIR", default_value = "/var/lib/netkeep-agent")]
    pub state_dir: PathBuf,

    /// The device's name in the org; the host name if absent.
    #[arg(long, env = "NETKEEP_AGENT_NAME", value_parser = parse_name)]
    pub name: Option<Name>,

    /// An interface and the zone behind it, as `eth0=WAN`; repeat for each. Told to the control plane on enrolment, and
    /// used until the first config arrives.
    #[arg(long = "interface", env = "NETKEEP_AGENT_INTERFACES", value_name = "NAME=ZONE", value_delimiter = ',')]
    pub interfaces: Vec<InterfaceZone>,

    /// The bus address to use in place of those that enrolment gave, `nats://host:port`.
    #[arg(long, env = "NETKEEP_AGENT_NATS_URL")]
    pub nats_url: Option<String>,

    /// How long a flow's packets are added up before they become a row.
    #[arg(long, env = "NETKEEP_AGENT_WINDOW_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub window_ms: u64,

    /// The time between two signs of life.
    #[arg(long, env = "NETKEEP_AGENT_HEARTBEAT_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub heartbeat_ms: u64,

    /// How long the control plane may stay out of reach over new rules before the old ones come back.
    #[arg(long, env = "NETKEEP_AGENT_CONFIRM_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub confirm_ms: u64,

    /// The disk space for batches that are not sent yet; beyond it the oldest are given up.
    #[arg(long, env = "NETKEEP_AGENT_SPOOL_BYTES_MAX", default_value_t = 256 * 1024 * 1024)]
    pub spool_bytes_max: u64,

    /// The flows that are followed at one time; beyond it the longest idle are given up.
    #[arg(long, env = "NETKEEP_AGENT_FLOWS_MAX", default_value_t = 262_144, value_parser = parse_flows_max)]
    pub flows_max: usize,

    /// The netfilter log group over which the kernel tells the verdicts of rules.
    #[arg(long, env = "NETKEEP_AGENT_NFLOG_GROUP", default_value_t = 4_711)]
    pub nflog_group: u16,

    /// A capture file (pcap or pcapng) to read packets from in place of the interfaces; rules are evaluated, not
    /// enforced, and root is not needed. Private addresses count as behind the first interface, others as behind the last.
    #[arg(long, env = "NETKEEP_AGENT_REPLAY", value_name = "FILE")]
    pub replay: Option<PathBuf>,

    /// Moves the times of a replayed capture so that its last packet is of this moment.
    #[arg(long, env = "NETKEEP_AGENT_REPLAY_REBASE", requires = "replay")]
    pub replay_rebase: bool,
}

impl Config {
    /// The interfaces as the control plane knows them.
    pub fn zoned_interfaces(&self) -> Vec<Interface> {
        self.interfaces.iter().map(|one| Interface { name: one.name.clone(), zone: Some(one.zone.clone()) }).collect()
    }

    /// The device's name: given, else the host's, else `device`.
    pub(crate) fn device_name(&self) -> Option<Name> {
        let host = || {
            let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
            Name::new(text.trim()).ok()
        };
        self.name.clone().or_else(host).or_else(|| Name::new("device").ok())
    }
}

/// An interface and its zone, as `eth0=WAN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceZone {
    pub name: InterfaceName,
    pub zone: ZoneName,
}

/// The text is not an interface and a zone.
#[derive(Debug, thiserror::Error)]
#[error("expected an interface and a zone like eth0=WAN: {0}")]
pub struct BadInterfaceZone(String);

impl FromStr for InterfaceZone {
    type Err = BadInterfaceZone;

    fn from_str(given: &str) -> Result<Self, BadInterfaceZone> {
        let (name, zone) = given.split_once('=').ok_or_else(|| BadInterfaceZone(given.chars().take(60).collect()))?;
        let bad = |error: &dyn fmt::Display| BadInterfaceZone(error.to_string());
        let zone: ZoneName = zone.parse().map_err(|error| bad(&error))?;
        if zone.is_local() {
            return Err(BadInterfaceZone("LOCAL is the device itself and has no interface".to_owned()));
        }
        Ok(Self { name: name.parse().map_err(|error| bad(&error))?, zone })
    }
}

impl fmt::Display for InterfaceZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.zone)
    }
}

fn parse_name(given: &str) -> Result<Name, schemas::text::BadText> {
    Name::new(given)
}

fn parse_flows_max(given: &str) -> Result<usize, String> {
    let count: usize = given.parse().map_err(|error| format!("{error}"))?;
    if (16..=16_777_216).contains(&count) { Ok(count) } else { Err("expected 16 to 16777216".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn nothing_need_be_said_for_the_defaults() {
        let config = Command::try_parse_from(["agent"]).expect("parses").config;
        assert_eq!((config.window_ms, config.confirm_ms), (5_000, 30_000));
        assert!(config.device_name().is_some());
    }

    #[test]
    fn interfaces_are_given_with_their_zones() {
        let args = ["agent", "--interface", "eth0=WAN", "--interface", "eth1.10=LAN"];
        let config = Command::try_parse_from(args).expect("parses").config;
        let told: Vec<String> = config.interfaces.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["eth0=WAN", "eth1.10=LAN"]);
        for bad in ["eth0", "eth0=", "=WAN", "eth0=LOCAL", "a b=WAN"] {
            assert!(Command::try_parse_from(["agent", "--interface", bad]).is_err(), "{bad}");
        }
    }
}
