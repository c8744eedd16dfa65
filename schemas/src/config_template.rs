//! Config templates: settings with variables, applied to many devices.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, GroupId};
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag};

crate::resource! {
    /// Settings of devices with variables in them: `${name}` in any text of `config`.
    ConfigTemplate(ConfigTemplateId) from NewConfigTemplate {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        #[serde(default)]
        variables: Vec<Variable>,
        /// A merge patch (RFC 7396) for the settings of a device.
        #[schema(value_type = Object)]
        config: serde_json::Map<String, serde_json::Value>,
    }
}

pub const VARIABLES_MAX: usize = 100;

/// A variable of a template. Every device also has `device_id` and `device_name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub name: Name,
    #[serde(default)]
    pub description: Description,
    /// What it is where nothing is given; without it a value must be given.
    #[serde(default)]
    pub default: Option<String>,
}

/// Where a template is to be applied, and with what values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyTemplate {
    #[serde(default)]
    pub device_ids: Vec<DeviceId>,
    #[serde(default)]
    pub group_ids: Vec<GroupId>,
    /// The values for all devices.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The values of single devices, by their id; they count more.
    #[serde(default)]
    pub device_variables: BTreeMap<DeviceId, BTreeMap<String, String>>,
}

impl Related for ConfigTemplate {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, _: &mut dyn FnMut(&'static str, Reference)) {}
}
