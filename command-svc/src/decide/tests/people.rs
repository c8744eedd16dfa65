//! Users and their API tokens.

use schemas::id::{ApiTokenId, GroupId};

use super::*;

fn token(json: Value) -> Command {
    create(Kind::ApiToken, with(json!({"name": "t"}), json))
}

fn user(json: Value) -> Command {
    create(Kind::User, with(json!({"role": "viewer"}), json))
}

#[test]
fn a_token_does_no_more_than_who_makes_it() {
    let operator = |ctx: &mut Context| ctx.role = Role::Operator;
    check_as([token(json!({"role": "admin"}))], operator, Err(Refusal::RoleAboveOwn));
    let (org, _) = run_as(&[token(json!({}))], operator);
    assert_eq!(org.api_tokens.get(&at(1)).map(|it| it.role), Some(Role::Operator));

    let (org, _) = run(&[token(json!({"name": "short", "expires_in": 60})), token(json!({"name": "owner"}))]);
    let [short, owner] = [1, 2].map(at::<ApiTokenId>);
    let child = |json| {
        let ctx = Context { credential: short.to_string(), ..ctx(9) };
        decide(&org, &token(with(json!({"name": "c"}), json)), &ctx).map(|events| match &events[..] {
            [Event::Created { resource: schemas::resource::AnyResource::ApiToken(token), secret_hash: Some(_) }] => {
                token.expires_at
            }
            events => panic!("{events:?}"),
        })
    };
    let end = Ok(Some(time(2) + Duration::seconds(60)));
    assert_eq!(child(json!({})), end, "a child does not outlive its parent");
    assert_eq!(child(json!({"expires_in": 3_600})), end);
    assert_eq!(child(json!({"expires_in": 5})), Ok(Some(time(9) + Duration::seconds(5))));
    let viewer = Context { role: Role::Viewer, ..ctx(9) };
    assert_eq!(decide(&org, &delete(owner), &viewer), Err(not_found(owner)), "nor touches what may do more");
}

#[test]
fn nobody_leaves_a_token_behind() {
    let service = user(json!({"kind": "service"}));
    let owned = token(json!({"user_id": at::<UserId>(1), "scopes": [{"verbs": ["read"]}]}));
    let (org, _) = run(&[service.clone(), owned.clone()]);
    let make = |org: &OrgState, credential: String| {
        let ctx = Context { credential, user_id: Some(at(1)), ..ctx(9) };
        let new = token(json!({"name": "b", "scopes": [{"verbs": ["read"]}]}));
        decide(org, &new, &ctx).map(|events| events.len())
    };
    let with_token = at::<ApiTokenId>(2).to_string();
    assert_eq!(make(&org, with_token.clone()), Ok(1));
    assert_eq!(make(&org, "jwt".to_owned()), Ok(1));
    let (org, _) = run(&[service, owned, delete(at::<UserId>(1))]);
    let gone = || Err(Refusal::NotFound { kind: Kind::User, id: "of the caller".to_owned() });
    assert_eq!(make(&org, with_token), gone());
    assert_eq!(make(&org, "jwt".to_owned()), gone());
}

#[test]
fn a_token_does_not_shed_its_scopes() {
    let scopes = json!([{"verbs": ["read"], "kinds": ["rule"]}]);
    let (org, _) = run(&[token(json!({"scopes": scopes}))]);
    let ctx = Context { credential: at::<ApiTokenId>(1).to_string(), ..ctx(9) };
    let child = |json| decide(&org, &token(with(json!({"name": "c"}), json)), &ctx).map(|events| events.len());
    assert_eq!(child(json!({})), Err(Refusal::RoleAboveOwn));
    assert_eq!(child(json!({"scopes": [{}]})), Err(Refusal::RoleAboveOwn));
    assert_eq!(child(json!({"scopes": scopes})), Ok(1));
    let shed = patch(at::<ApiTokenId>(1), json!({"scopes": []}));
    assert_eq!(decide(&org, &shed, &ctx), Err(Refusal::RoleAboveOwn));
    let group: GroupId = at(9);
    let unknown = Refusal::ReferenceUnknown { field: "scopes", id: group.into() };
    check([token(json!({"scopes": [{"device_groups": [group]}]}))], Err(unknown));
    // A group whose devices a token is bound to stays: without it the token would be bound to nothing.
    let bound = token(json!({"scopes": [{"device_groups": [at::<GroupId>(1)]}]}));
    let users = vec![at::<ApiTokenId>(2).to_string()];
    let in_use = Refusal::InUse { kind: Kind::Group, name: "g".to_owned(), users };
    check([create(Kind::Group, json!({"name": "g"})), bound, delete(at::<GroupId>(1))], Err(in_use));
}

#[test]
fn a_token_keeps_whose_it_is_and_what_it_may() {
    let id: ApiTokenId = at(1);
    let go = |json, result| check([token(json!({"role": "operator"})), patch(id, json)], result);
    go(json!({"name": "u"}), Ok(&["api_token.updated"]));
    go(json!({"role": "operator"}), Ok(&[]));
    let fixed = || Err(Refusal::Fixed("a token keeps its role and its owner; create another one"));
    go(json!({"role": "viewer"}), fixed());
    go(json!({"user_id": at::<UserId>(9)}), fixed());
    let revoke = |revoked: bool| patch(id, json!({"revoked": revoked}));
    check([token(json!({})), revoke(true), revoke(false)], Err(Refusal::TokenRevocationFinal));
    let taken = Refusal::NameTaken { kind: Kind::ApiToken, name: "t".to_owned() };
    check([token(json!({})), token(json!({}))], Err(taken));
}

#[test]
fn others_tokens_are_for_admins() {
    let id: ApiTokenId = at(1);
    let another = |role: Role| {
        move |ctx: &mut Context| {
            ctx.role = role;
            ctx.user_id = Some(at(5));
        }
    };
    let own = token(json!({"role": "viewer"}));
    check_as([own.clone(), delete(id)], another(Role::Operator), Err(not_found(id)));
    check_as([own.clone(), delete(id)], another(Role::Admin), Ok(&["api_token.deleted"]));
    check([own, delete(id)], Ok(&["api_token.deleted"]));

    let service = user(json!({"kind": "service", "role": "operator"}));
    let scopes = json!([{"verbs": ["read"]}]);
    let of_it = |more: Value| token(with(json!({"user_id": at::<UserId>(1), "scopes": scopes}), more));
    let (org, _) = run(&[service.clone(), of_it(json!({}))]);
    let made = org.api_tokens.get(&at(2)).expect("made");
    assert_eq!((made.owner_id, made.role), (at(1), Role::Operator), "no more than its user");
    check([service.clone(), of_it(json!({"role": "admin"}))], Err(Refusal::RoleAboveOwn));
    // A service user does what it was granted by name, nothing else.
    for scopes in [json!([]), json!([{}]), json!([{"verbs": ["read"]}, {}])] {
        check([service.clone(), of_it(json!({"scopes": scopes}))], Err(Refusal::ServiceTokenNeedsScopes));
    }
    let unknown = Refusal::ReferenceUnknown { field: "user_id", id: at::<UserId>(1).into() };
    check_as([service, of_it(json!({}))], |ctx| ctx.role = Role::Operator, Err(unknown.clone()));
    check([of_it(json!({}))], Err(unknown));
    // A token is somebody's.
    let nobody = run_as(&[token(json!({}))], |ctx| ctx.user_id = None).1.expect_err("refused");
    assert_eq!(nobody.reason().name(), "RESOURCE_NOT_FOUND");
}

#[test]
fn an_org_keeps_an_owner() {
    let owner = user(json!({"role": "owner"}));
    let id: UserId = at(1);
    let last = || Err(Refusal::LastOwner);
    check([owner.clone(), patch(id, json!({"role": "admin"}))], last());
    check([owner.clone(), patch(id, json!({"blocked": true}))], last());
    check([owner.clone(), delete(id)], last());
    let two = [owner.clone(), owner.clone()];
    check(then(&two, patch(id, json!({"blocked": true}))), Ok(&["user.updated"]));
    check(then(&two, delete(id)), Ok(&["user.deleted"]));
    // Neither one who is blocked nor a service user counts.
    check([owner.clone(), user(json!({"role": "owner", "blocked": true})), delete(id)], last());
    check([owner, user(json!({"role": "owner", "kind": "service"})), delete(id)], last());
}

#[test]
fn nobody_makes_another_more_than_they_are() {
    let admin = |ctx: &mut Context| ctx.role = Role::Admin;
    check_as([user(json!({"role": "owner"}))], admin, Err(Refusal::RoleAboveOwn));
    check_as([user(json!({"role": "admin"}))], admin, Ok(&["user.created"]));
    let viewer = [user(json!({})), patch(at::<UserId>(1), json!({"role": "owner"}))];
    check_as(viewer, admin, Err(Refusal::RoleAboveOwn));
    let two = [user(json!({"role": "owner"})), user(json!({"role": "owner"}))];
    for command in [patch(at::<UserId>(1), json!({"role": "viewer"})), delete(at::<UserId>(1))] {
        check_as(then(&two, command), admin, Err(Refusal::RoleAboveOwn));
    }
}

#[test]
fn a_users_tokens_go_with_the_user() {
    let scopes = json!([{"verbs": ["read"]}]);
    let of_it = |name: &str| token(json!({"name": name, "user_id": at::<UserId>(1), "scopes": scopes}));
    let commands =
        [user(json!({"kind": "service"})), of_it("a"), of_it("b"), token(json!({})), delete(at::<UserId>(1))];
    let (org, events) = run(&commands);
    let events = events.expect("accepted");
    let hashes = events.iter().filter(|event| matches!(event, Event::Deleted { secret_hash: Some(_), .. })).count();
    assert_eq!((events.len(), hashes), (3, 2), "each says which secret opens nothing any more");
    assert_eq!(org.api_tokens.len(), 1);
}
