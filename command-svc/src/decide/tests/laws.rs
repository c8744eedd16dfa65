//! What holds after any sequence of commands.

use std::collections::BTreeSet;

use proptest::prelude::*;
use schemas::event::{Meta, Recorded, SpecVersion};
use schemas::id::EventId;
use schemas::resource::{AnyResource, Related};

use super::any::{Wish, any_wish};
use super::*;

/// An org with some of everything that others need, and its log.
struct World {
    org: OrgState,
    /// The stored form of each event, and what the org was after it.
    log: Vec<(String, String)>,
}

impl World {
    fn new() -> Self {
        let mut world = Self { org: OrgState::default(), log: Vec::new() };
        world.submit(&found(), &ctx(1)).expect("founded");
        let start = [
            create(Kind::Group, json!({"name": "g"})),
            create(Kind::SetupKey, json!({"name": "k", "type": "reusable"})),
            create(Kind::Zone, json!({"name": "LAB"})),
            create(Kind::Address, json!({"name": "x", "entries": ["10.0.0.0/8"]})),
            create(Kind::Service, json!({"name": "x", "entries": ["tcp/80"]})),
            create(Kind::AddressList, json!({"name": "x"})),
            create(Kind::Firewall, json!({"name": "x"})),
            create(Kind::Rule, rule("x")),
            Command::EnrolDevice(read(json!({"setup_key": secret(2), "public_key": "U1", "name": "x"}))),
        ];
        for (n, command) in (2u16..).zip(start) {
            world.submit(&command, &ctx(n)).expect("accepted");
        }
        world
    }

    /// Decides a command, and records what it becomes as it would be stored.
    fn submit(&mut self, command: &Command, ctx: &Context) -> Result<(), Refusal> {
        for event in decide(&self.org, command, ctx)? {
            let revision = self.org.revision + 1;
            let recorded = Recorded { meta: meta(&event, revision, ctx), event };
            if let Event::Created { resource, .. } | Event::Updated { resource, .. } = &recorded.event {
                assert_eq!(resource.revision(), revision, "a resource carries the revision of its change");
            }
            let numbers_before = numbers(&self.org);
            let last = self.org.number_last;
            self.org.apply(&recorded);
            for number in numbers(&self.org).difference(&numbers_before) {
                assert!(*number > last, "{number} was given before: {recorded:?}");
            }
            holds_together(&self.org);
            self.log.push((serde_json::to_string(&recorded).expect("writes"), dump(&self.org)));
        }
        Ok(())
    }
}

fn meta(event: &Event, revision: u64, ctx: &Context) -> Meta {
    Meta {
        specversion: SpecVersion::V1,
        id: EventId::new(Ulid::from(u128::from(revision))),
        source: format!("/orgs/{}", ctx.org),
        subject: event.subject(&ctx.org),
        time: ctx.now,
        org: ctx.org.clone(),
        revision,
        actor: "usr".to_owned(),
        credential: "tok".to_owned(),
        sourceip: None,
        commandid: "cmd".to_owned(),
        commandhash: None,
        commandindex: None,
        correlationid: "op".to_owned(),
        prevhash: schemas::commit::GENESIS.to_owned(),
        traceparent: None,
    }
}

/// The numbers of all that decides on traffic. None is there twice.
fn numbers(org: &OrgState) -> BTreeSet<u32> {
    let rules = org.rules.values().map(|rule| rule.number);
    let policies = org.policies.values().flat_map(|policy| policy.rule_numbers.iter().copied());
    let defaults = org.zone_policies.values().map(|policy| policy.number);
    let firewalls = org.firewalls.values().map(|firewall| firewall.number);
    let all: Vec<u32> = rules.chain(policies).chain(defaults).chain(firewalls).collect();
    let once: BTreeSet<u32> = all.iter().copied().collect();
    assert_eq!(all.len(), once.len(), "a number is given twice: {all:?}");
    assert!(!once.contains(&0), "everything that decides has a number");
    once
}

/// Names are unique, references lead somewhere, and what is looked up by is what is there.
fn holds_together(org: &OrgState) {
    for (user, reference) in references(org) {
        assert!(org.has(&reference), "{user} refers to {reference}, which is not there");
        assert!(org.users_of(&reference).any(|it| it == user), "{user} is not known to refer to {reference}");
    }
    let refer: BTreeSet<_> = references(org).into_iter().collect();
    for resource in org.resources() {
        let own = schemas::resource::Reference::Resource(resource.id());
        assert!(org.users_of(&own).all(|user| refer.contains(&(user, own.clone()))), "{own} is said to be used");
        if let Some((name, holder)) = named(org, &resource) {
            assert_eq!(holder, Some(resource.id()), "the name {name:?} is another's");
        }
    }
    for policy in org.policies.values() {
        assert_eq!(policy.rules.len(), policy.rule_numbers.len());
    }
    assert_eq!(org.ordered_rule_ids().len(), org.rules.len());
    let keys: BTreeSet<&str> = org.devices.values().map(|device| device.public_key.as_str()).collect();
    assert_eq!(keys.len(), org.devices.len());
    assert!(org.devices.values().all(|device| org.device_of_key(&device.public_key).is_some()));
    for list in org.address_lists.values() {
        assert_eq!(list.entries_count as usize, org.entries(list.id).count());
    }
    for token in org.api_tokens.keys() {
        assert!(org.secret_hash((*token).into()).is_some_and(|hash| org.secret_holder(hash) == Some((*token).into())));
    }
    let compiled = org.devices.keys().map(|id| ::policy::compile(org, *id));
    assert!(compiled.into_iter().all(|compiled| compiled.is_some()));
}

/// The name of a resource, and who is found under it.
fn named(org: &OrgState, resource: &AnyResource) -> Option<(String, Option<ResourceId>)> {
    macro_rules! each {
        ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
            match resource {
                $(AnyResource::$name(it) => it.unique_name().map(|name| {
                    let holder = org.$table.named(&name).map(|holder| holder.id.into());
                    (name.into_owned(), holder)
                }),)*
            }
        };
    }
    schemas::for_each_resource!(each)
}

/// Carries out what is wished, and says how much of it was accepted.
fn live(wishes: &[Wish]) -> (World, usize) {
    let mut world = World::new();
    let mut accepted = 0;
    for (n, wish) in (20u16..).zip(wishes) {
        let ctx = ctx(n);
        if let Some(command) = wish.command(&world.org, &ctx) {
            accepted += usize::from(world.submit(&command, &ctx).is_ok());
        }
    }
    (world, accepted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_wished_the_org_holds_together_and_its_log_tells_every_state(
        wishes in prop::collection::vec(any_wish(), 0..240),
    ) {
        let (world, _) = live(&wishes);
        let mut replayed = OrgState::default();
        for (stored, was) in &world.log {
            let recorded = Recorded::parse(stored).expect("reads");
            prop_assert_eq!(&serde_json::to_string(&recorded).expect("writes"), stored);
            replayed.apply(&recorded);
            prop_assert_eq!(&dump(&replayed), was, "at revision {}", replayed.revision);
        }
        holds_together(&replayed);
        prop_assert_eq!(numbers(&replayed), numbers(&world.org));
    }
}

/// Wishes that are all refused would show nothing.
#[test]
fn many_wishes_come_true() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut wished, mut accepted, mut events) = (0, 0, BTreeSet::new());
    for _ in 0..16 {
        let wishes = prop::collection::vec(any_wish(), 400).new_tree(&mut runner).expect("wishes").current();
        let (world, granted) = live(&wishes);
        wished += wishes.len();
        accepted += granted;
        events.extend(world.log.iter().map(|(stored, _)| Recorded::parse(stored).expect("reads").event.name()));
    }
    assert!(accepted > wished / 4, "{accepted} of {wished}");
    let written = Kind::ALL.iter().filter(|kind| !matches!(kind, Kind::Org | Kind::Device | Kind::Event | Kind::Flow));
    let expected =
        written.flat_map(|kind| ["created", "updated", "deleted"].map(|verb| format!("{}.{verb}", kind.singular())));
    let missing: Vec<String> = expected.filter(|name| !events.contains(name)).collect();
    assert!(missing.len() < 4, "{missing:?}");
    for name in ["device.enrolled", "device.config_applied", "rule.reordered", "address_list.entries_changed"] {
        assert!(events.contains(name), "{name}");
    }
}
