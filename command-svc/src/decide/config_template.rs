//! Config templates: their variables are declared, what they set is a setting of devices, and a plan says which device
//! gets what.

use std::collections::{BTreeMap, BTreeSet};

use schemas::config_template::{ApplyTemplate, ConfigTemplate, VARIABLES_MAX};
use schemas::device::{Device, DeviceSettings};
use schemas::id::{ConfigTemplateId, DeviceId};
use schemas::resource::Reference;
use schemas::state::OrgState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::resource::{Decided, canonical, find, merge};
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

const CONFIG_BYTES_MAX: usize = 65_536;
const DEVICES_MAX: usize = 5_000;
/// All patches of one plan.
const PLAN_BYTES_MAX: usize = 8 << 20;
/// The value of one variable.
const VALUE_BYTES_MAX: usize = 4_096;
/// The variables that every device has.
const DEVICE_ID: &str = "device_id";
const DEVICE_NAME: &str = "device_name";

/// What a template sets on which devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) devices: Vec<Planned>,
}

/// What a template sets on one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) device_id: DeviceId,
    /// Its revision when this was planned; 0 if there is no such device.
    pub(crate) revision: u64,
    /// A merge patch of its settings.
    pub(crate) patch: Map<String, Value>,
}

impl Decided for ConfigTemplate {
    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("variables", self.variables.len(), VARIABLES_MAX)?;
        let text = serde_json::to_string(&self.config).unwrap_or_default();
        bounded("config", text.len(), CONFIG_BYTES_MAX)?;
        let invalid = |field, cause: String| Err(Refusal::Invalid { field, cause });
        let mut known = BTreeSet::from([DEVICE_ID, DEVICE_NAME]);
        for variable in &self.variables {
            let name = variable.name.as_str();
            if !is_word(name) {
                return invalid("variables", format!("{name:?}: a variable has letters, digits and _, no digit first"));
            }
            if matches!(name, DEVICE_ID | DEVICE_NAME) {
                return invalid("variables", format!("{name:?} is what every device has by itself"));
            }
            if !known.insert(name) {
                return invalid("variables", format!("the variable {name:?} is declared twice"));
            }
            bounded("variables", variable.default.as_ref().map_or(0, String::len), VALUE_BYTES_MAX)?;
        }
        let mut used = BTreeSet::new();
        for value in self.config.values() {
            if !names_in(value, &mut used) {
                return invalid("config", "a ${ has no } after it".to_owned());
            }
        }
        match used.iter().find(|name| !known.contains(name.as_str())) {
            Some(name) => invalid("config", format!("the variable {name:?} is not declared")),
            None => check_settings(&self.config),
        }
    }
}

/// Refuses what is no setting of a device. Settings that hold variables are read when they have their values.
fn check_settings(config: &Map<String, Value>) -> Result<(), Refusal> {
    let config = canonical::<Device>(config)?;
    let whole = |value: &Value| {
        let mut used = BTreeSet::new();
        names_in(value, &mut used) && used.is_empty()
    };
    let mut settings = json!({"name": "device"});
    let read = |settings: Value| {
        gate::from_value::<DeviceSettings>(settings).map_err(|problem| {
            let field = problem.field.map_or_else(|| "config".to_owned(), |field| format!("config.{field}"));
            Refusal::PatchInvalid { field: Some(field), cause: problem.message }
        })
    };
    let fields = serde_json::to_value(read(settings.clone())?).unwrap_or_default();
    for (name, value) in &config {
        if fields.get(name).is_none() {
            let cause = "a device has no such setting".to_owned();
            return Err(Refusal::PatchInvalid { field: Some(format!("config.{name}")), cause });
        }
        if whole(value) {
            merge(&mut settings, &Value::Object(Map::from_iter([(name.clone(), value.clone())])));
        }
    }
    if settings.get("name").is_none() {
        let cause = "a device keeps a name".to_owned();
        return Err(Refusal::PatchInvalid { field: Some("config.name".to_owned()), cause });
    }
    read(settings).map(|_| ())
}

/// Works out what a template sets on which devices.
pub(super) fn plan(
    org: &OrgState,
    id: ConfigTemplateId,
    apply: &ApplyTemplate,
    ctx: &Context,
) -> Result<Plan, Refusal> {
    let template = find::<ConfigTemplate>(org, id, ctx)?;
    let targets = targets(org, apply, ctx)?;
    if let Some(id) = apply.device_variables.keys().find(|id| !targets.contains(id)) {
        let cause = format!("the template is not applied to {id}");
        return Err(Refusal::Invalid { field: "device_variables", cause });
    }
    check_variables(template, apply, &targets)?;
    let mut left = PLAN_BYTES_MAX;
    let mut devices = Vec::with_capacity(targets.len());
    for device_id in targets {
        let Some(device) = org.devices.get(&device_id).filter(|device| device.is_there(ctx)) else {
            devices.push(Planned { device_id, revision: 0, patch: Map::new() });
            continue;
        };
        let own = device_id.to_string();
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        let defaults = template.variables.iter().filter_map(|it| Some((it.name.as_str(), it.default.as_deref()?)));
        values.extend(defaults);
        values.extend(apply.variables.iter().map(pair));
        values.extend(apply.device_variables.get(&device_id).into_iter().flatten().map(pair));
        values.extend([(DEVICE_ID, own.as_str()), (DEVICE_NAME, device.name.as_str())]);
        let Some(Value::Object(patch)) = filled(&Value::Object(template.config.clone()), &values, &mut left) else {
            let cause = format!("the settings come to more than {PLAN_BYTES_MAX} bytes; apply them to fewer devices");
            return Err(Refusal::Invalid { field: "device_ids", cause });
        };
        devices.push(Planned { device_id, revision: device.revision, patch });
    }
    Ok(Plan { devices })
}

fn pair<'a>((name, value): (&'a String, &'a String)) -> (&'a str, &'a str) {
    (name, value)
}

/// The devices that are named, and those of the groups that the caller may see.
fn targets(org: &OrgState, apply: &ApplyTemplate, ctx: &Context) -> Result<BTreeSet<DeviceId>, Refusal> {
    if apply.device_ids.is_empty() && apply.group_ids.is_empty() {
        let cause = "name devices or groups of devices".to_owned();
        return Err(Refusal::Invalid { field: "device_ids", cause });
    }
    let mut targets: BTreeSet<DeviceId> = apply.device_ids.iter().copied().collect();
    for group in &apply.group_ids {
        if !org.groups.contains_key(group) {
            return Err(Refusal::ReferenceUnknown { field: "group_ids", id: (*group).into() });
        }
        let group = Reference::from(*group);
        let members = org.users_of(&group).filter_map(|user| DeviceId::try_from(user).ok());
        targets.extend(members.filter(|id| org.devices.get(id).is_some_and(|device| device.is_there(ctx))));
    }
    bounded("device_ids", targets.len(), DEVICES_MAX)?;
    Ok(targets)
}

/// Refuses values of variables that are not declared, and variables without a value.
fn check_variables(
    template: &ConfigTemplate,
    apply: &ApplyTemplate,
    targets: &BTreeSet<DeviceId>,
) -> Result<(), Refusal> {
    let declared: BTreeSet<&str> = template.variables.iter().map(|variable| variable.name.as_str()).collect();
    let given = || apply.variables.iter().chain(apply.device_variables.values().flatten());
    for (_, value) in given() {
        bounded("variables", value.len(), VALUE_BYTES_MAX)?;
    }
    let unknown = given().map(|(name, _)| name).filter(|name| !declared.contains(name.as_str()));
    let undeclared: BTreeSet<String> = unknown.map(|name| name.chars().take(100).collect()).take(100).collect();
    let everywhere = |name: &str| {
        let has = |id| apply.device_variables.get(id).is_some_and(|values| values.contains_key(name));
        apply.variables.contains_key(name) || targets.iter().all(has)
    };
    let without = template.variables.iter().filter(|variable| variable.default.is_none());
    let names = without.map(|variable| variable.name.as_str());
    let missing: Vec<String> = names.filter(|name| !everywhere(name)).map(str::to_owned).collect();
    if undeclared.is_empty() && missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::VariablesInvalid { undeclared: undeclared.into_iter().collect(), missing })
}

/// The value with its variables filled in; `None` if that takes more bytes than are left.
fn filled(value: &Value, values: &BTreeMap<&str, &str>, left: &mut usize) -> Option<Value> {
    let mut take = |bytes: usize| {
        *left = left.checked_sub(bytes)?;
        Some(())
    };
    Some(match value {
        Value::String(text) => {
            let mut whole = String::new();
            for part in parts(text) {
                let part = match part {
                    Part::Text(text) => text,
                    Part::Variable(name) => values.get(name).copied().unwrap_or_default(),
                    Part::Unclosed => "",
                };
                take(part.len())?;
                whole.push_str(part);
            }
            take(8)?;
            Value::String(whole)
        }
        Value::Array(list) => Value::Array(list.iter().map(|it| filled(it, values, left)).collect::<Option<_>>()?),
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, it)| {
                *left = left.checked_sub(name.len() + 8)?;
                Some((name.clone(), filled(it, values, left)?))
            });
            Value::Object(each.collect::<Option<_>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            take(8)?;
            value.clone()
        }
    })
}

/// Adds the variables that a value names. Says whether each of them is closed.
fn names_in(value: &Value, names: &mut BTreeSet<String>) -> bool {
    match value {
        Value::String(text) => parts(text).all(|part| match part {
            Part::Text(_) => true,
            Part::Variable(name) => {
                names.insert(name.to_owned());
                true
            }
            Part::Unclosed => false,
        }),
        Value::Array(list) => list.iter().all(|value| names_in(value, names)),
        Value::Object(fields) => fields.values().all(|value| names_in(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A piece of a text with variables in it.
enum Part<'a> {
    Text(&'a str),
    /// `${name}`.
    Variable(&'a str),
    /// `${` without an end.
    Unclosed,
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(opened) = rest.strip_prefix("${") else {
            let (before, after) = rest.split_at(rest.find("${").unwrap_or(rest.len()));
            rest = after;
            return Some(Part::Text(before));
        };
        let Some((name, after)) = opened.split_once('}') else {
            rest = "";
            return Some(Part::Unclosed);
        };
        rest = after;
        Some(Part::Variable(name))
    })
}

fn is_word(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(letter) && !name.starts_with(|first: char| first.is_ascii_digit())
}
