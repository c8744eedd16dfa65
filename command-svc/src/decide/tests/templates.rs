//! Config templates, and what they set where.

use schemas::id::{ConfigTemplateId, DeviceId, GroupId};

use super::*;

fn template(variables: Value, config: Value) -> Command {
    create(Kind::ConfigTemplate, json!({"name": "t", "variables": variables, "config": config}))
}

#[test]
fn a_template_sets_settings_and_names_its_variables() {
    let good = json!({
        "description": "${site} of ${device_name}", "mode": "shadow", "networks": ["${lan}"], "groups": [],
        "interfaces": [{"name": "eth0", "zone": "WAN"}], "location": null,
    });
    check([template(json!([{"name": "site"}, {"name": "lan"}]), good)], Ok(&["config_template.created"]));
    let place = |config: Value| {
        let (reason, field) = refused(&[template(json!([{"name": "x"}]), config)]);
        format!("{reason} {field}")
    };
    assert_eq!(place(json!({"colour": "red"})), "BODY_INVALID config.colour");
    assert_eq!(place(json!({"colour": "${x}"})), "BODY_INVALID config.colour");
    assert_eq!(place(json!({"public_key": "U1"})), "BODY_INVALID config.public_key");
    assert_eq!(place(json!({"mode": "loud"})), "BODY_INVALID config.mode");
    assert_eq!(place(json!({"name": null})), "BODY_INVALID config.name");
    assert_eq!(place(json!({"interfaces": [{"zone": "WAN"}]})), "BODY_INVALID config.interfaces[0].name");
    assert_eq!(place(json!({"description": "${y}"})), "VALUE_INVALID config");
    assert_eq!(place(json!({"description": "${x"})), "VALUE_INVALID config");
    let variables = |variables: Value| refused(&[template(variables, json!({}))]).1;
    assert_eq!(variables(json!([{"name": "a"}, {"name": "a"}])), "variables");
    assert_eq!(variables(json!([{"name": "a b"}])), "variables");
    assert_eq!(variables(json!([{"name": "1a"}])), "variables");
    assert_eq!(variables(json!([{"name": "device_name"}])), "variables");
    let bytes = json!({"metadata": {"k": "v".repeat(70_000)}});
    assert_eq!(refused(&[template(json!([]), bytes)]), ("LIST_TOO_LONG".to_owned(), "config".to_owned()));
}

/// A group, a key, two devices of which the first is in the group, and a template.
fn start() -> Vec<Command> {
    let enrol = |key: &str| Command::EnrolDevice(read(json!({"setup_key": secret(2), "public_key": key, "name": key})));
    let config = json!({
        "description": "${site}: ${device_name} (${device_id})", "networks": ["${lan}", "10.0.0.0/8"], "mode": "shadow",
    });
    vec![
        create(Kind::Group, json!({"name": "g"})),
        setup_key(json!({"type": "reusable"})),
        enrol("U1"),
        enrol("U2"),
        patch(at::<DeviceId>(3), json!({"groups": [at::<GroupId>(1)]})),
        template(json!([{"name": "site", "default": "here"}, {"name": "lan"}]), config),
    ]
}

fn planned_as(apply: Value, change: impl Fn(&mut Context)) -> Result<Vec<Planned>, Refusal> {
    let (org, _) = run(&start());
    let mut ctx = ctx(50);
    change(&mut ctx);
    let (id, command): (ConfigTemplateId, _) = (at(6), Command::PlanTemplate(at(6), read(apply)));
    let decided = decide(&org, &command, &ctx);
    if decided.is_ok() {
        assert_eq!(decided, Ok(vec![]), "a plan changes nothing");
    }
    let (revision, plan) = match decided {
        Ok(_) => target(&org, &command, &ctx).expect("a plan"),
        Err(refusal) => return Err(refusal),
    };
    assert_eq!(Some(revision), org.config_templates.get(&id).map(|it| it.revision));
    Ok(read::<Plan>(plan).devices)
}

fn planned(apply: Value) -> Result<Vec<Planned>, Refusal> {
    planned_as(apply, |_| {})
}

#[test]
fn a_plan_has_the_values_of_each_device() {
    let [first, second] = [3, 4].map(at::<DeviceId>);
    let apply = json!({"device_ids": [second], "group_ids": [at::<GroupId>(1)], "variables": {"lan": "10.1.0.0/16"},
        "device_variables": {second.to_string(): {"lan": "10.2.0.0/16", "site": "there"}}});
    let plan = planned(apply).expect("a plan");
    let expected = |id: DeviceId, site: &str, name: &str, lan: &str| json!({"description": format!("{site}: {name} ({id})"), "networks": [lan, "10.0.0.0/8"], "mode": "shadow"});
    assert_eq!(plan.iter().map(|it| it.device_id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(Value::Object(plan[0].patch.clone()), expected(first, "here", "U1", "10.1.0.0/16"));
    assert_eq!(Value::Object(plan[1].patch.clone()), expected(second, "there", "U2", "10.2.0.0/16"));
    let (mut org, _) = run(&start());
    for it in &plan {
        let command = Command::Patch(it.device_id.into(), it.patch.clone());
        assert_eq!(org.devices.get(&it.device_id).map(|device| device.revision), Some(it.revision));
        let events = decide(&org, &command, &ctx(50)).expect("accepted");
        assert_eq!(events.len(), 1);
        org.apply_event(&events[0], org.revision + 1, time(50));
        assert_eq!(decide(&org, &command, &ctx(51)), Ok(vec![]));
    }
}

#[test]
fn variables_are_all_there_and_no_others() {
    let first: DeviceId = at(3);
    let refused = |apply: Value| planned(apply).expect_err("refused");
    let refusal = refused(json!({"device_ids": [first], "variables": {"lam": "x"}}));
    assert_eq!(refusal.details(), Some(json!({"undeclared": ["lam"], "missing": ["lan"]})));
    // A value for one device is none for the other.
    let apply =
        json!({"device_ids": [first, at::<DeviceId>(4)], "device_variables": {first.to_string(): {"lan": "::/0"}}});
    assert_eq!(refused(apply).details(), Some(json!({"undeclared": [], "missing": ["lan"]})));
    let lan = json!({"lan": "::/0"});
    assert_eq!(refused(json!({"variables": lan})).field().as_deref(), Some("device_ids"));
    let apply =
        json!({"device_ids": [first], "variables": lan, "device_variables": {at::<DeviceId>(4).to_string(): {}}});
    assert_eq!(refused(apply).field().as_deref(), Some("device_variables"));
    let unknown = Refusal::ReferenceUnknown { field: "group_ids", id: at::<GroupId>(9).into() };
    assert_eq!(refused(json!({"group_ids": [at::<GroupId>(9)], "variables": lan})), unknown);
    let long = json!({"device_ids": [first], "variables": {"lan": "x".repeat(5_000)}});
    assert_eq!(refused(long).field().as_deref(), Some("variables"));
}

#[test]
fn a_device_that_the_caller_does_not_see_is_as_one_that_is_not_there() {
    let [first, second, gone] = [3, 4, 9].map(at::<DeviceId>);
    let lan = json!({"lan": "::/0"});
    let bound = |ctx: &mut Context| ctx.device_groups = Some(vec![at(1)]);
    let apply = json!({"device_ids": [second, gone], "group_ids": [at::<GroupId>(1)], "variables": lan});
    let plan = planned_as(apply.clone(), bound).expect("a plan");
    let found: Vec<_> = plan.iter().map(|it| (it.device_id, it.patch.is_empty())).collect();
    assert_eq!(found, [(first, false), (second, true), (gone, true)]);
    let nothing = planned_as(apply, |ctx| ctx.device_groups = Some(vec![])).expect("a plan");
    assert_eq!(nothing.len(), 2, "of the group none is seen");
}

#[test]
fn a_plan_does_not_grow_beyond_bounds() {
    let start: Vec<Command> = vec![
        template(json!([{"name": "x"}]), json!({"description": "${x}".repeat(10_000)})),
        setup_key(json!({})),
        Command::EnrolDevice(read(json!({"setup_key": secret(2), "public_key": "U1", "name": "e"}))),
    ];
    let (org, _) = run(&start);
    let apply = json!({"device_ids": [at::<DeviceId>(3)], "variables": {"x": "y".repeat(4_000)}});
    let refusal = decide(&org, &Command::PlanTemplate(at(1), read(apply)), &ctx(50)).expect_err("refused");
    assert_eq!(refusal.field().as_deref(), Some("device_ids"));
}
