//! Commands: what a caller may ask of an org. Each is accepted whole, as events, or refused with a reason.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::address_list::{EntriesPatch, ListEntry};
use crate::agent::Report;
use crate::config_template::ApplyTemplate;
use crate::device::Enrolment;
use crate::id::{AddressListId, ConfigTemplateId, DeviceId};
use crate::kind::Kind;
use crate::org::OrgPatch;
use crate::resource::{AnyNew, ResourceId};
use crate::rule::RuleOrder;
use crate::text::Name;
use crate::user::SignedInPerson;

/// One wish. Ids and secrets of what it creates come from the caller of `decide`, not from here.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Founds the org, with the predefined zones.
    CreateOrg {
        name: Name,
    },
    UpdateOrg(OrgPatch),
    Create(AnyNew),
    /// Replaces all that the caller of `Create` could have said.
    Replace(ResourceId, AnyNew),
    /// Changes what a JSON merge patch (RFC 7396) names.
    Patch(ResourceId, Map<String, Value>),
    Delete(ResourceId),
    OrderRules(RuleOrder),
    ChangeEntries(AddressListId, EntriesPatch),
    /// Makes a list hold these entries and no others, as far as one commit takes it: to be given again until its event
    /// has nothing remaining.
    ReplaceEntries(AddressListId, Arc<[ListEntry]>),
    /// Works out what a template sets on which devices. Changes nothing.
    PlanTemplate(ConfigTemplateId, ApplyTemplate),
    /// Finds the user of a person who comes with a JWT for the first time, or makes it.
    SignIn(SignedInPerson),
    EnrolDevice(Enrolment),
    /// What a device says of the config it was given.
    ReportConfig(DeviceId, Report),
    /// A command over a resource, if that is at this revision.
    At(u64, Box<Command>),
    /// All of these, or none.
    Batch(Vec<Command>),
}

impl Command {
    /// The kind of resource that this command is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::CreateOrg { .. } | Self::UpdateOrg(_) | Self::Batch(_) => Kind::Org,
            Self::Create(new) => new.kind(),
            Self::Replace(id, _) | Self::Patch(id, _) | Self::Delete(id) => id.kind(),
            Self::OrderRules(_) => Kind::Rule,
            Self::ChangeEntries(..) | Self::ReplaceEntries(..) => Kind::AddressList,
            Self::PlanTemplate(..) => Kind::ConfigTemplate,
            Self::At(_, command) => command.kind(),
            Self::SignIn(_) => Kind::User,
            Self::EnrolDevice(_) | Self::ReportConfig(..) => Kind::Device,
        }
    }
}
