//! Any wish: commands over all kinds, about what is there and about what is not, sensible and not.

use proptest::prelude::*;
use schemas::agent::{Outcome, Report};
use schemas::id::{AddressListId, ConfigTemplateId, DeviceId, RuleId, SetupKeyId};
use schemas::user::{FirstSignIn, SignedInPerson};

use super::*;

/// What somebody may want. What it is about is counted through: one more than there are means one that is not there.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Create(Kind, Value),
    Replace(Kind, u8, Value),
    Patch(Kind, u8, Value),
    Delete(Kind, u8),
    /// All rules from one place on, then those before it; perhaps without the first.
    Order {
        from: u8,
        is_whole: bool,
    },
    Entries(u8, Value),
    Fill(u8, Value),
    Enrol {
        key: u8,
        public_key: u8,
        name: &'static str,
    },
    Report {
        device: u8,
        ago: u8,
        failed: bool,
    },
    SignIn {
        subject: u8,
        first: FirstSignIn,
    },
    Org(Value),
    Plan(u8, Value),
    At {
        ago: u8,
        wish: Box<Wish>,
    },
    Batch(Vec<Wish>),
}

macro_rules! by_kind {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        const KINDS: &[Kind] = &[$(Kind::$name),*];

        /// The `n`th resource of a kind, or one that is not there.
        fn pick(org: &OrgState, kind: Kind, n: u8) -> Option<ResourceId> {
            match kind {
                $(Kind::$name => {
                    let found = org.$table.keys().nth(usize::from(n) % (org.$table.len() + 1)).copied();
                    Some(found.unwrap_or_else(|| schemas::id::$id::new(Ulid::from(u128::from(n)))).into())
                })*
                Kind::Org | Kind::Event | Kind::Flow => None,
            }
        }
    };
}

schemas::for_each_resource!(by_kind);

impl Wish {
    /// The command, as a handler would make it; `None` where the handler refuses it.
    pub(crate) fn command(&self, org: &OrgState, ctx: &Context) -> Option<Command> {
        let filled = |value: &Value| fill(value, org);
        Some(match self {
            Self::Create(kind, value) => Command::Create(AnyNew::parse(*kind, Json(filled(value))).ok()?),
            Self::Replace(kind, n, value) => {
                Command::Replace(pick(org, *kind, *n)?, AnyNew::parse(*kind, Json(filled(value))).ok()?)
            }
            Self::Patch(kind, n, value) => Command::Patch(pick(org, *kind, *n)?, filled(value).as_object()?.clone()),
            Self::Delete(kind, n) => Command::Delete(pick(org, *kind, *n)?),
            Self::Order { from, is_whole } => {
                let mut rule_ids: Vec<RuleId> = org.ordered_rule_ids().collect();
                let from = usize::from(*from) % (rule_ids.len() + 1);
                rule_ids.rotate_left(from);
                rule_ids.truncate(rule_ids.len() - usize::from(!is_whole && !rule_ids.is_empty()));
                Command::OrderRules(schemas::rule::RuleOrder { rule_ids })
            }
            Self::Entries(n, value) => {
                Command::ChangeEntries(one::<AddressListId>(org, Kind::AddressList, *n)?, parse(filled(value))?)
            }
            Self::Fill(n, value) => {
                let entries: Vec<schemas::address_list::ListEntry> = parse(filled(value))?;
                Command::ReplaceEntries(one::<AddressListId>(org, Kind::AddressList, *n)?, entries.into())
            }
            Self::Enrol { key, public_key, name } => {
                let key: SetupKeyId = one(org, Kind::SetupKey, *key)?;
                let secret = ctx.secrets.derive(SecretKind::SetupKey, &ctx.org, &key.to_string());
                let public_key = format!("U{}", public_key % 5);
                Command::EnrolDevice(parse(json!({"setup_key": secret, "public_key": public_key, "name": name}))?)
            }
            Self::Report { device, ago, failed } => {
                let outcome = if *failed { Outcome::Failed { error: "no".to_owned() } } else { Outcome::Applied };
                let revision = (org.revision + 1).saturating_sub(u64::from(*ago));
                let report = Report { revision, hash: "ab".repeat(32), outcome, at: ctx.now };
                Command::ReportConfig(one::<DeviceId>(org, Kind::Device, *device)?, report)
            }
            Self::SignIn { subject, first } => Command::SignIn(SignedInPerson {
                subject_hash: format!("s{}", subject % 3),
                email_hash: Some(format!("e{}", subject % 4)),
                person: None,
                role: Role::Operator,
                first: *first,
            }),
            Self::Org(value) => Command::UpdateOrg(parse(filled(value))?),
            Self::Plan(n, value) => {
                Command::PlanTemplate(one::<ConfigTemplateId>(org, Kind::ConfigTemplate, *n)?, parse(filled(value))?)
            }
            Self::At { ago, wish } => {
                let command = wish.command(org, ctx)?;
                let revision = target(org, &command, ctx).map_or(0, |(revision, _)| revision);
                Command::At(revision.saturating_sub(u64::from(*ago)), Box::new(command))
            }
            Self::Batch(wishes) => Command::Batch(wishes.iter().filter_map(|wish| wish.command(org, ctx)).collect()),
        })
    }
}

fn one<I: TryFrom<ResourceId>>(org: &OrgState, kind: Kind, n: u8) -> Option<I> {
    I::try_from(pick(org, kind, n)?).ok()
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

/// The value with `@group/3` and the like replaced by ids.
fn fill(value: &Value, org: &OrgState) -> Value {
    match value {
        Value::String(text) => {
            let named = text.strip_prefix('@').and_then(|rest| rest.split_once('/'));
            let id = named.and_then(|(kind, n)| pick(org, Kind::from_singular(kind)?, n.parse().ok()?));
            id.map_or_else(|| value.clone(), |id| json!(id))
        }
        Value::Array(list) => list.iter().map(|value| fill(value, org)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), fill(value, org))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Any wish, of one command or of several.
pub(crate) fn any_wish() -> impl Strategy<Value = Wish> {
    let single = single().boxed();
    let at = (0u8..3, single.clone()).prop_map(|(ago, wish)| Wish::At { ago, wish: Box::new(wish) });
    let batch = prop::collection::vec(prop_oneof![8 => single.clone(), 1 => at.clone()], 0..5).prop_map(Wish::Batch);
    prop_oneof![16 => single, 1 => at, 2 => batch]
}

fn single() -> impl Strategy<Value = Wish> {
    let all = || prop::sample::select(KINDS);
    // What refers to much is refused more often than the rest.
    let kind = || prop_oneof![3 => all(), 2 => Just(Kind::Rule), 1 => Just(Kind::NatRule), 1 => Just(Kind::Policy)];
    let dice = || prop::collection::vec(any::<u8>(), 24).prop_map(Dice);
    let few = || prop_oneof![2 => 0u8..2, 1 => 0u8..8];
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let part = (kind(), few(), dice(), any::<u8>()).prop_map(|(kind, n, mut dice, mask)| {
        let Value::Object(whole) = body(kind, &mut dice) else { return Wish::Delete(kind, n) };
        let some = whole.into_iter().enumerate().filter(|(place, _)| mask & (1 << (place % 8)) != 0);
        Wish::Patch(kind, n, Value::Object(some.map(|(_, field)| field).collect()))
    });
    let firsts = vec![FirstSignIn::Create, FirstSignIn::Invited, FirstSignIn::Off];
    prop_oneof![
        24 => (kind(), dice()).prop_map(|(kind, mut dice)| Wish::Create(kind, body(kind, &mut dice))),
        8 => (kind(), few(), dice()).prop_map(|(kind, n, mut dice)| Wish::Replace(kind, n, body(kind, &mut dice))),
        14 => part,
        3 => (kind(), few(), junk_object()).prop_map(|(kind, n, value)| Wish::Patch(kind, n, value)),
        1 => (kind(), junk_object()).prop_map(|(kind, value)| Wish::Create(kind, value)),
        6 => (kind(), few()).prop_map(|(kind, n)| Wish::Delete(kind, n)),
        2 => (few(), any::<bool>()).prop_map(|(from, is_whole)| Wish::Order { from, is_whole }),
        2 => (few(), dice()).prop_map(|(n, mut dice)| Wish::Entries(n, dice.change())),
        2 => (few(), dice()).prop_map(|(n, mut dice)| Wish::Fill(n, dice.entries())),
        4 => (few(), few(), name()).prop_map(|(key, public_key, name)| Wish::Enrol { key, public_key, name }),
        2 => (few(), few(), any::<bool>()).prop_map(|(device, ago, failed)| Wish::Report { device, ago, failed }),
        1 => (few(), prop::sample::select(firsts)).prop_map(|(subject, first)| Wish::SignIn { subject, first }),
        1 => dice().prop_map(|mut dice| Wish::Org(dice.org())),
        1 => (few(), dice()).prop_map(|(n, mut dice)| Wish::Plan(n, dice.apply())),
    ]
}

/// JSON that may be anything, under names that may be of fields.
fn junk_object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "a", "any", "WAN", "10.0.0.0/8", "::1", "@group/0", "@rule/9", "é\u{0}"])
            .prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((field(), inner), 0..4).prop_map(object),
        ]
    });
    prop::collection::vec((field(), value), 0..4).prop_map(object)
}

fn object(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "name",
        "description",
        "metadata",
        "tags",
        "sources",
        "source",
        "port",
        "schedule",
        "zone_to",
        "to",
        "entries",
        "rules",
        "device_ids",
        "peers",
        "groups",
        "group_ids",
        "interfaces",
        "config",
        "variables",
        "revoked",
        "role",
        "expires_at",
        "expires_in",
        "id",
        "revision",
        "number",
        "colour",
        "type",
        "scopes",
        "kind",
        "approved",
    ])
}

/// Bytes that decide what a resource looks like.
#[derive(Debug, Clone)]
struct Dice(Vec<u8>);

impl Dice {
    fn roll(&mut self) -> u8 {
        self.0.pop().unwrap_or_default()
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.roll()) % list.len()]
    }

    fn name(&mut self) -> &'static str {
        self.of(&["a", "b", "c", "d", "e", "f"])
    }

    fn zone(&mut self) -> &'static str {
        self.of(&["any", "WAN", "LAN", "DMZ", "any", "WAN", "LAN", "DMZ", "LOCAL", "LAB", "LAB", "MARS"])
    }

    fn is(&mut self) -> bool {
        self.roll() % 2 == 1
    }

    fn reference(&mut self, kind: Kind) -> Value {
        format!("@{}/{}", kind.singular(), self.of(&[0, 0, 0, 0, 1, 2, 3])).into()
    }

    fn references(&mut self, kind: Kind) -> Value {
        (0..self.roll() % 3).map(|_| self.reference(kind)).collect()
    }

    fn address(&mut self) -> Value {
        self.of(&["10.0.0.1", "10.0.0.0/8", "192.0.2.1-192.0.2.9", "::1", "2001:db8::/32", "0.0.0.0/0"]).into()
    }

    fn side(&mut self) -> Value {
        let count = 1 + self.roll() % 3;
        let list = (0..count).map(|_| match self.roll() % 8 {
            0..=3 => json!("any"),
            4 => self.address(),
            5 => self.reference(Kind::Address),
            6 => self.reference(Kind::AddressList),
            _ => self.reference(Kind::Group),
        });
        list.collect()
    }

    fn entries(&mut self) -> Value {
        let count = self.roll() % 5;
        (0..count).map(|_| json!({"address": self.address(), "comment": self.name()})).collect()
    }

    fn change(&mut self) -> Value {
        json!({"remove": [self.address()], "add": self.entries()})
    }

    fn org(&mut self) -> Value {
        match self.roll() % 3 {
            0 => json!({"name": self.name()}),
            1 => json!({"api_sources": [self.address()]}),
            _ => json!({"description": self.name(), "api_sources": []}),
        }
    }

    fn apply(&mut self) -> Value {
        let variables = if self.is() { json!({"site": self.name()}) } else { json!({}) };
        json!({"device_ids": self.references(Kind::Device), "group_ids": self.references(Kind::Group),
            "variables": variables})
    }
}

/// What somebody may write of a resource.
fn body(kind: Kind, d: &mut Dice) -> Value {
    let name = d.name();
    match kind {
        Kind::User => json!({"kind": d.of(&["human", "service"]), "role": d.of(&["viewer", "admin", "owner"]),
            "blocked": d.is(), "email_hash": d.of(&["e0", "e1", "e9"])}),
        Kind::ApiToken => match d.roll() % 3 {
            0 => json!({"name": name, "scopes": [{"device_groups": d.references(Kind::Group)}]}),
            1 => json!({"name": name, "user_id": d.reference(Kind::User), "expires_in": d.roll()}),
            _ => json!({"name": name, "role": d.of(&["viewer", "operator"]), "revoked": d.is()}),
        },
        Kind::Zone => json!({"name": d.of(&["LAB", "Z1", "WAN", "LOCAL"]), "description": name}),
        Kind::ZonePolicy => json!({"from": d.zone(), "to": d.zone(), "action": d.of(&["drop", "accept", "reject"])}),
        Kind::Address => {
            let all = [d.address(), d.reference(Kind::Address), json!("www.example.com")];
            json!({"name": name, "entries": all[..usize::from(d.roll() % 4)]})
        }
        Kind::Service => {
            let all = [json!("tcp/80"), d.reference(Kind::Service), json!("icmp")];
            json!({"name": name, "entries": all[..usize::from(d.roll() % 4)]})
        }
        Kind::AddressList => json!({"name": name, "tags": [name]}),
        Kind::Firewall => json!({"name": name, "status": d.of(&["active", "paused"]), "allowlist_enabled": d.is(),
            "allow_lists": d.references(Kind::AddressList), "deny_lists": d.references(Kind::AddressList),
            "group_ids": d.references(Kind::Group)}),
        Kind::Rule => rule_body(name, d),
        Kind::NatRule => json!({"name": name, "type": d.of(&["dnat", "snat", "1:1", "masquerade"]), "zone": d.zone(),
            "translate_to": if d.is() { d.address() } else { Value::Null }, "destination": d.address(),
            "group_ids": if d.is() { d.references(Kind::Group) } else { Value::Null }}),
        Kind::Route => json!({"name": name, "network": d.address(), "gateway": d.of(&["10.0.0.1", "::1"]),
            "device_id": if d.is() { d.reference(Kind::Device) } else { Value::Null },
            "group_ids": d.references(Kind::Group)}),
        Kind::NameserverGroup => json!({"name": name, "nameservers": [{"ip": "9.9.9.9"}], "primary": d.is(),
            "domains": if d.is() { json!(["example.com"]) } else { json!([]) }, "groups": d.references(Kind::Group)}),
        Kind::DnsRecord => json!({"name": "nas.example.com", "type": d.of(&["A", "AAAA", "CNAME"]),
            "content": d.of(&["10.0.0.1", "::1", "a.example.com"])}),
        Kind::DnsList => json!({"name": name, "action": d.of(&["block", "allow"]), "domains": ["ads.example.com"],
            "group_ids": if d.is() { d.references(Kind::Group) } else { Value::Null }}),
        Kind::Group => match d.is() {
            true => json!({"name": name, "device_ids": d.references(Kind::Device)}),
            false => json!({"name": name}),
        },
        Kind::Policy => {
            let rule = |d: &mut Dice| {
                json!({"name": d.name(), "bidirectional": d.is(), "action": d.of(&["drop", "accept"]),
                    "sources": [d.reference(Kind::Group)], "destinations": [d.reference(Kind::Group)]})
            };
            let count = d.roll() % 4;
            json!({"name": name, "rules": (0..count).map(|_| rule(d)).collect::<Value>()})
        }
        Kind::SetupKey => json!({"name": name, "type": d.of(&["reusable", "one-off"]), "ephemeral": d.is(),
            "auto_groups": d.references(Kind::Group), "approval_required": d.is()}),
        Kind::Device => json!({"name": name, "mode": d.of(&["observe", "shadow", "enforce"]),
            "interfaces": [{"name": "eth0", "zone": d.zone()}, {"name": d.of(&["eth1", "eth0"]), "zone": d.zone()}],
            "group_ids": d.references(Kind::Group), "networks": [d.address()], "approved": d.is()}),
        Kind::ConfigTemplate => {
            json!({"name": name, "variables": [{"name": "site", "default": d.of(&[None, Some("x")])}],
            "config": {"description": "${site}", "mode": d.of(&["shadow", "loud"]), "groups": d.references(Kind::Group)}})
        }
        Kind::Org | Kind::Event | Kind::Flow => Value::Null,
    }
}

fn rule_body(name: &str, d: &mut Dice) -> Value {
    let mut rule = json!({"name": name, "zone_from": d.zone(), "zone_to": d.zone(), "sources": d.side(),
        "destinations": d.side(), "action": d.of(&["drop", "accept", "reject"]), "log": d.is(), "log_only": d.is(),
        "sources_negated": d.roll() % 4 == 3});
    let more = match d.roll() % 4 {
        0 => json!({"protocol": "tcp", "ports": [80, "8000-8099"]}),
        1 => json!({"service_ids": d.references(Kind::Service)}),
        2 => json!({"firewall_id": d.reference(Kind::Firewall),
            "schedule": {"days": ["mon"], "from": "08:00", "to": "17:00", "time_zone": "Europe/Berlin"}}),
        _ => json!({"expires_at": time(500)}),
    };
    rule = with(rule, more);
    rule
}
