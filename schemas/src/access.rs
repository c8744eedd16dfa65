//! Who may do what: roles x verbs x kinds, in one table.

use serde::{Deserialize, Serialize};

use crate::id::GroupId;
use crate::kind::Kind;

/// What a caller wants to do with a kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Read,
    Create,
    Update,
    Delete,
}

impl Verb {
    pub const ALL: [Self; 4] = [Self::Read, Self::Create, Self::Update, Self::Delete];
}

/// A role in an org, from most to least powerful.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything but secrets, changes nothing.
    #[default]
    Viewer,
    /// Sees everything, the audit trail too.
    Auditor,
    /// Runs the fleet: rules, zones, devices.
    Operator,
    /// Runs the org: also users, tokens and setup keys.
    Admin,
    /// Everything.
    Owner,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Auditor, Self::Operator, Self::Admin, Self::Owner];

    /// Whether this role may do `verb` to resources of `kind`.
    pub fn may(self, verb: Verb, kind: Kind) -> bool {
        let (reads, writes) = needed(kind);
        match verb {
            Verb::Read => self >= reads,
            Verb::Create | Verb::Update | Verb::Delete => writes.is_some_and(|writes| self >= writes),
        }
    }
}

/// The table: the least role that reads a kind, and the least that writes it, if anybody does.
fn needed(kind: Kind) -> (Role, Option<Role>) {
    match kind {
        Kind::Org => (Role::Viewer, Some(Role::Owner)),
        Kind::User => (Role::Auditor, Some(Role::Admin)),
        Kind::SetupKey => (Role::Operator, Some(Role::Admin)),
        // Everybody manages tokens of their own; only admins see others'.
        Kind::ApiToken => (Role::Viewer, Some(Role::Viewer)),
        Kind::Zone
        | Kind::ZonePolicy
        | Kind::Address
        | Kind::Service
        | Kind::AddressList
        | Kind::Firewall
        | Kind::Rule
        | Kind::NatRule
        | Kind::Route
        | Kind::NameserverGroup
        | Kind::DnsRecord
        | Kind::DnsList
        | Kind::Group
        | Kind::Policy
        | Kind::Device
        | Kind::ConfigTemplate => (Role::Viewer, Some(Role::Operator)),
        // Facts, not resources: nobody edits what happened.
        Kind::Event => (Role::Auditor, None),
        Kind::Flow => (Role::Viewer, None),
    }
}

/// A part of what its owner may do, that a token is bound to. An empty list means all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    pub verbs: Vec<Verb>,
    pub kinds: Vec<Kind>,
    /// Only devices of these groups.
    pub device_groups: Vec<GroupId>,
}

impl Scope {
    /// Whether this scope is about `verb` on resources of `kind`.
    pub fn covers(&self, verb: Verb, kind: Kind) -> bool {
        let verb = self.verbs.is_empty() || self.verbs.contains(&verb);
        verb && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// The groups whose devices a bearer of these scopes may do this with; `None` is all devices.
pub fn groups_within(scopes: &[Scope], verb: Verb, kind: Kind) -> Option<Vec<GroupId>> {
    let mut groups = Vec::new();
    for scope in scopes.iter().filter(|scope| scope.covers(verb, kind)) {
        if scope.device_groups.is_empty() {
            return None;
        }
        groups.extend(scope.device_groups.iter().copied());
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_may_all_that_a_lower_one_may() {
        for pair in Role::ALL.windows(2) {
            for kind in Kind::ALL.iter().copied() {
                for verb in Verb::ALL {
                    assert!(!pair[0].may(verb, kind) || pair[1].may(verb, kind), "{pair:?} {verb:?} {kind:?}");
                }
            }
        }
    }

    #[test]
    fn nobody_edits_what_happened() {
        for verb in [Verb::Create, Verb::Update, Verb::Delete] {
            assert!(!Role::Owner.may(verb, Kind::Event));
            assert!(!Role::Owner.may(verb, Kind::Flow));
        }
    }

    #[test]
    fn a_scope_covers_what_it_lists_and_an_empty_list_all() {
        let covers = |text: &str| serde_json::from_str::<Scope>(text).expect(text).covers(Verb::Read, Kind::Rule);
        for good in [
            "{}",
            r#"{"verbs":["read"]}"#,
            r#"{"kinds":["zone","rule"],"device_groups":["grp_01jcz3k9mv5x8q2w4e6r7t9y0a"]}"#,
        ] {
            assert!(covers(good), "{good}");
        }
        for bad in [r#"{"verbs":["create"]}"#, r#"{"kinds":["zone"]}"#, r#"{"verbs":["read"],"kinds":["zone"]}"#] {
            assert!(!covers(bad), "{bad}");
        }
    }
}
