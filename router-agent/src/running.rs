//! What is in force on the device, as all its parts see it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use policy::Evaluator;
use schemas::config::{DeviceConfig, Ruleset};
use schemas::device::Mode;
use schemas::resource::ResourceId;
use schemas::zone::ZoneName;
use tokio::sync::watch;

use crate::config::InterfaceZone;

/// Numbers of rules that are gone are remembered up to here, for verdicts that are still on their way.
const NUMBERS_MAX: usize = 200_000;

/// Rulesets that are remembered for packets that were seen under them and are not told of yet.
const EARLIER_MAX: usize = 16;

/// What is in force, and what was a moment ago.
#[derive(Debug, Default)]
pub struct Running {
    pub(crate) hash: String,
    pub(crate) config: Option<Arc<DeviceConfig>>,
    /// What of the config holds at this moment.
    pub(crate) in_force: Ruleset,
    rules: Arc<Rules>,
    /// Earlier rulesets and the time (in microseconds) until which each was in force; the latest first.
    earlier: VecDeque<(i64, Arc<Rules>)>,
    numbers: HashMap<u32, ResourceId>,
}

/// One ruleset, made ready for questions.
#[derive(Debug, Default)]
pub struct Rules {
    /// Of the org; 0 before the first config.
    pub revision: u64,
    /// When it came into force, in microseconds.
    pub since_us: i64,
    zones: HashMap<String, Arc<ZoneName>>,
    evaluator: Option<Evaluator>,
    /// Whether what they deny does not pass; in shadow it does.
    pub are_enforced: bool,
}

/// Where the parts of the agent learn what is in force.
pub type RunningWatch = watch::Receiver<Arc<Running>>;

impl Running {
    /// Before the first config: the zones of the command line, and no rules.
    pub fn without_config(interfaces: &[InterfaceZone]) -> Self {
        let zones = interfaces.iter().map(|one| (one.name.to_string(), Arc::new(one.zone.clone()))).collect();
        Self { rules: Arc::new(Rules { zones, ..Rules::default() }), ..Self::default() }
    }

    /// What holds under `config` from `now_us` on, where this much of it is in force; `before` was until then.
    pub fn under(config: Arc<DeviceConfig>, in_force: Ruleset, hash: String, before: &Self, now_us: i64) -> Self {
        let mut numbers = if before.numbers.len() < NUMBERS_MAX { before.numbers.clone() } else { HashMap::new() };
        numbers.extend(config.ruleset.rules.iter().map(|rule| (rule.number, rule.id)));
        numbers.extend(config.ruleset.defaults.iter().map(|default| (default.number, default.id)));
        let mut earlier = before.earlier.clone();
        earlier.push_front((now_us, Arc::clone(&before.rules)));
        earlier.truncate(EARLIER_MAX);
        let rules = Arc::new(Rules::of(&config, &in_force, now_us));
        Self { hash, rules, config: Some(config), in_force, earlier, numbers }
    }

    /// The org revision in force; 0 before the first config.
    pub fn revision(&self) -> u64 {
        self.rules.revision
    }

    /// The interfaces that are captured, in order.
    pub fn interfaces(&self) -> Vec<String> {
        let mut names: Vec<String> = self.rules.zones.keys().cloned().collect();
        names.sort();
        names
    }

    /// The ruleset in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The ruleset that was in force at a time; the earliest that is remembered for what lies before it.
    pub fn rules_at(&self, time_us: i64) -> &Rules {
        let then = self.earlier.iter().take_while(|(until_us, _)| time_us < *until_us).last();
        then.map_or(&self.rules, |(_, rules)| rules)
    }

    /// What has this number, in force or of an earlier ruleset: a rule, a policy, a firewall or a zone policy.
    pub fn rule(&self, number: u32) -> Option<ResourceId> {
        self.numbers.get(&number).copied()
    }
}

impl Rules {
    fn of(config: &DeviceConfig, ruleset: &Ruleset, since_us: i64) -> Self {
        let zones = ruleset.zones.iter().flat_map(|zone| {
            let name = Arc::new(zone.name.clone());
            zone.interfaces.iter().map(move |interface| (interface.to_string(), Arc::clone(&name)))
        });
        // A device that only observes lets everything pass.
        let evaluator = (config.mode != Mode::Observe).then(|| Evaluator::new(ruleset));
        let are_enforced = config.mode == Mode::Enforce;
        Self { revision: config.revision, since_us, zones: zones.collect(), evaluator, are_enforced }
    }

    pub fn zone_of(&self, interface: &str) -> Option<Arc<ZoneName>> {
        self.zones.get(interface).map(Arc::clone)
    }

    pub(crate) fn evaluator(&self) -> Option<&Evaluator> {
        self.evaluator.as_ref()
    }
}
