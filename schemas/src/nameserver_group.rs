//! Name servers: where devices ask for which domains.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::Domain;
use crate::id::GroupId;
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag, yes};

crate::resource! {
    /// Name servers for some domains, or for all.
    ///
    /// Kept, checked and versioned; devices do not carry it out yet.
    NameserverGroup(NameserverGroupId) from NewNameserverGroup {
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
        /// One to three, asked in this order.
        nameservers: Vec<Nameserver>,
        /// Whether they are asked for every domain that no other group matches; then `domains` is empty.
        #[serde(default)]
        primary: bool,
        /// The domains that they are asked for, and everything below.
        #[serde(default)]
        domains: Vec<Domain>,
        /// Whether `domains` are also tried behind names without a dot.
        #[serde(default)]
        search_domains_enabled: bool,
        /// The groups of devices that use them.
        #[serde(default, alias = "groups")]
        group_ids: Vec<GroupId>,
    }
    aliases {
        "groups" => "group_ids",
    }
}

pub const NAMESERVERS_MAX: usize = 3;

/// A name server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nameserver {
    #[schema(value_type = String)]
    pub ip: IpAddr,
    #[serde(default)]
    pub ns_type: NameserverType,
    #[serde(default = "port_default")]
    #[schema(default = 53, minimum = 1)]
    pub port: u16,
}

/// How a name server is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NameserverType {
    #[default]
    Udp,
    Tcp,
}

fn port_default() -> u16 {
    53
}

impl Related for NameserverGroup {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        self.group_ids.iter().for_each(|id| note("group_ids", (*id).into()));
    }
}
