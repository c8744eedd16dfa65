//! Policies: who may reach whom, from groups of devices to groups of devices.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::GroupId;
use crate::resource::{Reference, Related};
use crate::rule::Action;
use crate::service::{PortRange, Protocol, many};
use crate::text::{Description, Metadata, Name, Tag, yes};

crate::resource! {
    /// Rules between groups of devices, enforced on every device of each group. A group stands for the networks of its
    /// devices. Policies are asked after the firewall rules.
    Policy(PolicyId) from NewPolicy {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        #[serde(default = "yes")]
        #[schema(default = true)]
        enabled: bool,
        /// In matching order; all of them count.
        rules: Vec<PolicyRule>,
    }
    kept {
        /// The numbers of its rules among all that decides on traffic in the org: the conntrack marks.
        #[serde(default)]
        rule_numbers: Vec<u32>,
    }
}

/// One rule of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    pub name: Name,
    #[serde(default)]
    pub description: Description,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
    #[serde(default)]
    pub action: Action,
    /// Whether it also holds from the destinations to the sources.
    #[serde(default)]
    pub bidirectional: bool,
    #[serde(default)]
    pub protocol: Protocol,
    /// Destination ports; empty means every port.
    #[serde(default, deserialize_with = "many")]
    pub ports: Vec<PortRange>,
    /// Never empty.
    pub sources: Vec<GroupId>,
    /// Never empty.
    pub destinations: Vec<GroupId>,
    #[serde(default)]
    pub log: bool,
}

impl Related for Policy {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        for rule in &self.rules {
            rule.sources.iter().for_each(|id| note("rules.sources", (*id).into()));
            rule.destinations.iter().for_each(|id| note("rules.destinations", (*id).into()));
        }
    }
}
