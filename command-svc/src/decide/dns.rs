//! DNS: name servers, records and filters.

use std::net::{Ipv4Addr, Ipv6Addr};

use schemas::dns_list::{DOMAINS_MAX, DnsList};
use schemas::dns_record::{DnsRecord, RecordType, TTL_MAX};
use schemas::domain::Domain;
use schemas::id::GroupId;
use schemas::nameserver_group::{NAMESERVERS_MAX, NameserverGroup};
use schemas::state::OrgState;

use super::resource::{Decided, only_of};
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

const LIST_MAX: usize = 1_000;

fn invalid(field: &'static str, cause: &str) -> Result<(), Refusal> {
    Err(Refusal::Invalid { field, cause: cause.to_owned() })
}

impl Decided for NameserverGroup {
    fn is_within(&self, groups: &[GroupId], _: &OrgState) -> bool {
        only_of(&self.group_ids, groups)
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("nameservers", self.nameservers.len(), NAMESERVERS_MAX)?;
        bounded("domains", self.domains.len(), LIST_MAX)?;
        bounded("group_ids", self.group_ids.len(), LIST_MAX)?;
        if self.nameservers.is_empty() {
            return Err(Refusal::ListEmpty("nameservers"));
        }
        if self.nameservers.iter().any(|server| server.port == 0) {
            return invalid("nameservers", "a port is 1 to 65535");
        }
        match (self.primary, self.domains.is_empty()) {
            (true, false) => invalid("domains", "a primary group is asked for every domain, it has none of its own"),
            (false, true) => invalid("domains", "name the domains that it is asked for, or make it primary"),
            (true, true) | (false, false) => Ok(()),
        }
    }
}

impl Decided for DnsRecord {
    fn is_within(&self, groups: &[GroupId], _: &OrgState) -> bool {
        only_of(self.group_ids.as_deref().unwrap_or_default(), groups)
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("group_ids", self.group_ids.as_ref().map_or(0, Vec::len), LIST_MAX)?;
        if !(1..=TTL_MAX).contains(&self.ttl) {
            return invalid("ttl", "a record lives 1 to 604800 seconds");
        }
        let fits = match self.record_type {
            RecordType::A => self.content.parse::<Ipv4Addr>().is_ok(),
            RecordType::Aaaa => self.content.parse::<Ipv6Addr>().is_ok(),
            RecordType::Cname => self.content.parse::<Domain>().is_ok_and(|domain| !domain.is_wildcard()),
        };
        if fits { Ok(()) } else { invalid("content", "not what a record of this type holds") }
    }
}

impl Decided for DnsList {
    fn is_within(&self, groups: &[GroupId], _: &OrgState) -> bool {
        only_of(self.group_ids.as_deref().unwrap_or_default(), groups)
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("domains", self.domains.len(), DOMAINS_MAX)?;
        bounded("group_ids", self.group_ids.as_ref().map_or(0, Vec::len), LIST_MAX)
    }
}
