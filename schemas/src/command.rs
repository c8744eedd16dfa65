//! Commands: what a caller may ask of an org. Each is accepted whole, as events, or refused with a reason.

use crate::access::Role;
use crate::agent::Report;
use crate::api_token::{ApiTokenPatch, NewApiToken};
use crate::device::{DevicePatch, Enrolment};
use crate::id::{ApiTokenId, DeviceId, RuleId, SetupKeyId, ZoneId};
use crate::kind::Kind;
use crate::rule::{NewRule, RuleOrder, RulePatch};
use crate::setup_key::{NewSetupKey, SetupKeyPatch};
use crate::text::Name;
use crate::zone::{NewZone, ZonePatch};

/// One wish. Ids and secrets of what it creates come from the caller of `decide`, not from here.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Founds the org, with the predefined zones and its owner.
    CreateOrg {
        name: Name,
    },
    CreateZone(NewZone),
    UpdateZone(ZoneId, ZonePatch),
    DeleteZone(ZoneId),
    CreateRule(NewRule),
    ReplaceRule(RuleId, NewRule),
    UpdateRule(RuleId, RulePatch),
    DeleteRule(RuleId),
    OrderRules(RuleOrder),
    CreateSetupKey(NewSetupKey),
    UpdateSetupKey(SetupKeyId, SetupKeyPatch),
    DeleteSetupKey(SetupKeyId),
    EnrolDevice(Enrolment),
    UpdateDevice(DeviceId, DevicePatch),
    /// Takes the device out of the org: its key opens nothing any more.
    DeleteDevice(DeviceId),
    /// What a device says of the config it was given.
    ReportConfig(DeviceId, Report),
    CreateApiToken(NewApiToken),
    UpdateApiToken(ApiTokenId, ApiTokenPatch),
    DeleteApiToken(ApiTokenId),
    /// Gives a user a role; used where the org is founded.
    CreateUser(Role),
}

impl Command {
    /// The kind of resource that this command is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::CreateOrg { .. } => Kind::Org,
            Self::CreateZone(_) | Self::UpdateZone(..) | Self::DeleteZone(_) => Kind::Zone,
            Self::CreateRule(_)
            | Self::ReplaceRule(..)
            | Self::UpdateRule(..)
            | Self::DeleteRule(_)
            | Self::OrderRules(_) => Kind::Rule,
            Self::CreateSetupKey(_) | Self::UpdateSetupKey(..) | Self::DeleteSetupKey(_) => Kind::SetupKey,
            Self::EnrolDevice(_) | Self::UpdateDevice(..) | Self::DeleteDevice(_) | Self::ReportConfig(..) => {
                Kind::Device
            }
            Self::CreateApiToken(_) | Self::UpdateApiToken(..) | Self::DeleteApiToken(_) => Kind::ApiToken,
            Self::CreateUser(_) => Kind::User,
        }
    }
}
