//! DNS records that devices answer themselves.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::Domain;
use crate::id::GroupId;
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Tag, yes};

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub enum RecordType {
    A,
    #[serde(rename = "AAAA")]
    Aaaa,
    #[serde(rename = "CNAME")]
    Cname,
}

crate::resource! {
    /// A DNS record.
    ///
    /// Kept, checked and versioned; devices do not carry it out yet.
    DnsRecord(DnsRecordId) from NewDnsRecord {
        name: Domain,
        #[serde(rename = "type")]
        record_type: RecordType,
        /// An IPv4 address (A), an IPv6 address (AAAA) or a domain (CNAME).
        content: String,
        /// Seconds.
        #[serde(default = "ttl_default")]
        #[schema(default = 300, minimum = 1, maximum = 604800)]
        ttl: u32,
        #[serde(default = "yes")]
        #[schema(default = true)]
        enabled: bool,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        /// The groups of devices that answer it; absent means all devices.
        #[serde(default)]
        group_ids: Option<Vec<GroupId>>,
    }
}

pub const TTL_MAX: u32 = 604_800;

fn ttl_default() -> u32 {
    300
}

impl RecordType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
        }
    }
}

impl Related for DnsRecord {
    /// Several records of one name and type may differ in their content.
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(format!("{} {} {}", self.name, self.record_type.as_str(), self.content).into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        self.group_ids.iter().flatten().for_each(|id| note("group_ids", (*id).into()));
    }
}
