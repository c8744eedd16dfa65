//! Address translations.

use schemas::address::Span;
use schemas::id::GroupId;
use schemas::nat_rule::{NatRule, NatType};
use schemas::selector::Selector;
use schemas::service::Protocol;
use schemas::state::OrgState;

use super::resource::{Decided, only_of};
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

const LIST_MAX: usize = 1_000;

impl Decided for NatRule {
    fn is_within(&self, groups: &[GroupId], _: &OrgState) -> bool {
        only_of(self.group_ids.as_deref().unwrap_or_default(), groups)
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("destination_ports", self.destination_ports.len(), LIST_MAX)?;
        bounded("group_ids", self.group_ids.as_ref().map_or(0, Vec::len), LIST_MAX)?;
        if !self.destination_ports.is_empty() && !self.protocol.has_ports() {
            return Err(Refusal::PortsWithoutProtocol);
        }
        let invalid = |field, cause: &str| Err(Refusal::Invalid { field, cause: cause.to_owned() });
        match (self.nat_type, &self.translate_to) {
            (NatType::Masquerade, Some(_)) => {
                return invalid("translate_to", "a masquerade takes the address of the interface");
            }
            (NatType::Dnat | NatType::Snat | NatType::OneToOne, None) => {
                return invalid("translate_to", "say which address it is translated to");
            }
            (NatType::OneToOne, Some(to)) => match self.destination {
                Selector::Span(from)
                    if size(from).is_some() && size(from) == size(*to) && from.is_ipv4() == to.is_ipv4() => {}
                Selector::Any | Selector::Span(_) | Selector::Address(_) | Selector::List(_) | Selector::Group(_) => {
                    return invalid("translate_to", "1:1 needs a destination and a translation of the same size");
                }
            },
            (NatType::Masquerade, None) | (NatType::Dnat | NatType::Snat, Some(_)) => {}
        }
        if let Some(ports) = self.translate_ports {
            if self.nat_type != NatType::Dnat || self.protocol == Protocol::All || !self.protocol.has_ports() {
                return invalid("translate_ports", "only a dnat of tcp, udp or sctp translates ports");
            }
            if ports.first() != ports.last() && self.destination_ports != [ports] {
                let same =
                    |span: &schemas::service::PortRange| span.last() - span.first() == ports.last() - ports.first();
                if self.destination_ports.len() != 1 || !self.destination_ports.iter().all(same) {
                    return invalid("translate_ports", "give one port, or as many as destination_ports");
                }
            }
        }
        Ok(())
    }
}

fn size(span: Span) -> Option<u8> {
    span.prefix_bits()
}
