//! Address translation (RFC 3022): destination, source, one-to-one and masquerade; a port forward is a dnat with a port.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::address::Span;
use crate::id::GroupId;
use crate::resource::{Reference, Related};
use crate::selector::{Selector, ZoneMatch};
use crate::service::{PortRange, Protocol, many};
use crate::text::{Description, Metadata, Name, Tag, yes};

/// What is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NatType {
    /// The destination: port forwards.
    Dnat,
    /// The source, to a given address.
    Snat,
    /// Both ways between two blocks of the same size.
    #[serde(rename = "1:1", alias = "one_to_one")]
    OneToOne,
    /// The source, to the address of the interface that the packet leaves by.
    Masquerade,
}

crate::resource! {
    /// An address translation of an org's devices.
    NatRule(NatRuleId) from NewNatRule {
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
        #[serde(rename = "type", alias = "nat_type")]
        nat_type: NatType,
        /// Where the packet comes in (dnat, 1:1) or goes out (snat, masquerade).
        #[serde(default = "any_zone")]
        #[schema(default = "any")]
        zone: ZoneMatch,
        #[serde(default)]
        protocol: Protocol,
        #[serde(default = "anywhere")]
        #[schema(default = "any")]
        source: Selector,
        #[serde(default = "anywhere")]
        #[schema(default = "any")]
        destination: Selector,
        /// Destination ports before the translation; empty means every port.
        #[serde(default, alias = "destination_port", deserialize_with = "many")]
        destination_ports: Vec<PortRange>,
        /// The address afterwards; for 1:1 a block as large as `destination`. A masquerade has none.
        #[serde(default)]
        translate_to: Option<Span>,
        /// The destination ports afterwards; as many as before, or one.
        #[serde(default, alias = "translate_port")]
        translate_ports: Option<PortRange>,
        #[serde(default)]
        log: bool,
        /// The groups of devices that it applies to; absent means all devices.
        #[serde(default)]
        group_ids: Option<Vec<GroupId>>,
    }
    aliases {
        "nat_type" => "type",
        "destination_port" => "destination_ports",
        "translate_port" => "translate_ports",
    }
}

fn any_zone() -> ZoneMatch {
    ZoneMatch::Any
}

fn anywhere() -> Selector {
    Selector::Any
}

impl Related for NatRule {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        if let Some(name) = self.zone.zone() {
            note("zone", Reference::Zone(name.clone()));
        }
        for (field, selector) in [("source", self.source), ("destination", self.destination)] {
            if let Some(reference) = selector.reference() {
                note(field, reference);
            }
        }
        self.group_ids.iter().flatten().for_each(|id| note("group_ids", (*id).into()));
    }
}
