//! The kinds of resource. One word serves as module, KV key, SQL table and URL segment.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $singular:literal, $plural:literal, $path:literal;)*) => {
        /// A kind of resource.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The singular, as in event names: `rule` in `rule.created`.
            pub fn singular(self) -> &'static str {
                match self { $(Self::$kind => $singular,)* }
            }

            /// The plural, as in KV keys and SQL tables.
            pub fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural,)* }
            }

            /// Where the API has them, after its base: `/firewall/rules`.
            pub fn path(self) -> &'static str {
                match self { $(Self::$kind => $path,)* }
            }

            pub fn from_singular(singular: &str) -> Option<Self> {
                match singular { $($singular => Some(Self::$kind),)* _ => None }
            }

            pub fn from_plural(plural: &str) -> Option<Self> {
                match plural { $($plural => Some(Self::$kind),)* _ => None }
            }
        }
    };
}

kinds! {
    Org = "org", "orgs", "/orgs";
    User = "user", "users", "/users";
    ApiToken = "api_token", "api_tokens", "/api-tokens";
    Zone = "zone", "zones", "/zones";
    /// What happens between two zones where no rule decides.
    ZonePolicy = "zone_policy", "zone_policies", "/firewall/policies";
    Address = "address", "addresses", "/addresses";
    Service = "service", "services", "/services";
    AddressList = "address_list", "address_lists", "/address-lists";
    /// A named rule set.
    Firewall = "firewall", "firewalls", "/firewalls";
    Rule = "rule", "rules", "/firewall/rules";
    NatRule = "nat_rule", "nat_rules", "/nat/rules";
    Route = "route", "routes", "/routes";
    NameserverGroup = "nameserver_group", "nameserver_groups", "/dns/nameservers";
    DnsRecord = "dns_record", "dns_records", "/dns/records";
    DnsList = "dns_list", "dns_lists", "/dns/lists";
    /// A group of devices.
    Group = "group", "groups", "/groups";
    /// Who may reach whom, group to group.
    Policy = "policy", "policies", "/policies";
    SetupKey = "setup_key", "setup_keys", "/setup-keys";
    Device = "device", "devices", "/devices";
    ConfigTemplate = "config_template", "config_templates", "/config-templates";
    /// The audit trail: every event of the org.
    Event = "event", "events", "/events";
    /// The traffic that devices saw.
    Flow = "flow", "flows", "/traffic/logs";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.singular().replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_words() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_singular(kind.singular()), Some(*kind));
            assert_eq!(Kind::from_plural(kind.plural()), Some(*kind));
            assert_eq!(serde_json::to_value(kind).ok(), Some(kind.singular().into()));
        }
    }
}
