//! Sign-ins: who comes with a JWT is a user of the org.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use gate::{JwtConfig, Problem, SignIn, SignedIn};
use schemas::access::Role;
use schemas::reason::Reason;
use serde_json::{Value, json};

use crate::jwts::{ISSUER, claims, rig as accepting, signer};
use crate::rig::{OWNER, Rig, refused};

struct Desk {
    rig: Rig,
    came: Arc<Mutex<Vec<SignIn>>>,
    answer: Arc<Mutex<Result<SignedIn, Problem>>>,
    _folder: tempfile::TempDir,
}

/// A server whose users are kept by a desk that writes down who came.
async fn desk(change: impl FnOnce(&mut JwtConfig)) -> Desk {
    let (rig, folder) = accepting(change).await;
    let came = Arc::new(Mutex::new(Vec::new()));
    let answer = Arc::new(Mutex::new(Ok(SignedIn { user_id: OWNER, role: Role::Operator, blocked: false })));
    let (book, said) = (came.clone(), answer.clone());
    rig.gate.on_sign_in(Arc::new(move |person| {
        book.lock().unwrap().push(person);
        let said = said.lock().unwrap().clone();
        async move { said }.boxed()
    }));
    Desk { rig, came, answer, _folder: folder }
}

impl Desk {
    fn enter(&self, changes: Value) -> reqwest::RequestBuilder {
        self.rig.get("/api/v1/whoami").bearer_auth(signer("a").sign(&claims(changes)))
    }

    async fn who(&self, changes: Value) -> Value {
        self.enter(changes).send().await.unwrap().json().await.unwrap()
    }

    fn says(&self, answer: Result<SignedIn, Problem>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn came(&self) -> usize {
        self.came.lock().unwrap().len()
    }

    fn forget(&self) {
        self.rig.gate.forget_user(&"acme".parse().unwrap(), "ann");
    }
}

#[tokio::test]
async fn who_signs_in_is_a_user() {
    let desk = desk(|_| {}).await;
    let who = desk.who(json!({"role": "auditor", "email": "ann@example.com", "name": "Ann"})).await;
    assert_eq!(
        (who["actor"].as_str(), who["user_id"].as_str()),
        (Some(OWNER.to_string().as_str()), Some(OWNER.to_string().as_str()))
    );
    assert_eq!((who["credential"].as_str(), who["role"].as_str()), (Some("jwt"), Some("operator")));
    let expected = SignIn {
        org: "acme".parse().unwrap(),
        issuer: ISSUER.to_owned(),
        subject: "ann".to_owned(),
        email: Some("ann@example.com".to_owned()),
        name: Some("Ann".to_owned()),
        role: Role::Auditor,
    };
    assert_eq!(*desk.came.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn the_desk_is_asked_again_only_when_something_changed() {
    let desk = desk(|_| {}).await;
    for _ in 0..3 {
        desk.who(json!({})).await;
    }
    assert_eq!(desk.came(), 1);
    desk.who(json!({"sub": "bob"})).await;
    assert_eq!(desk.came(), 2);
    desk.says(Ok(SignedIn { user_id: OWNER, role: Role::Viewer, blocked: true }));
    assert_eq!(desk.who(json!({})).await["role"], "operator");
    desk.forget();
    assert_eq!(refused(desk.enter(json!({}))).await["reason"], "USER_BLOCKED");
    assert_eq!(desk.came(), 3);
}

#[tokio::test]
async fn what_the_desk_refuses_is_refused_and_asked_again() {
    let desk = desk(|_| {}).await;
    desk.says(Err(Problem::new(Reason::OrgMissing, "there is no such org")));
    assert_eq!(refused(desk.enter(json!({}))).await["reason"], "ORG_MISSING");
    assert_eq!(refused(desk.enter(json!({}))).await["reason"], "ORG_MISSING");
    assert_eq!(desk.came(), 2);
    desk.says(Ok(SignedIn { user_id: OWNER, role: Role::Viewer, blocked: false }));
    assert_eq!(desk.who(json!({})).await["role"], "viewer");
}

#[tokio::test]
async fn nobody_gets_more_by_a_jwt_than_the_configuration_gives() {
    let desk = desk(|config| config.jwt_role_max = Role::Auditor).await;
    desk.says(Ok(SignedIn { user_id: OWNER, role: Role::Owner, blocked: false }));
    assert_eq!(desk.who(json!({"role": "owner"})).await["role"], "auditor");
    assert_eq!(desk.came.lock().unwrap()[0].role, Role::Auditor);
}

#[tokio::test]
async fn a_jwt_that_does_not_verify_never_reaches_the_desk() {
    let desk = desk(|_| {}).await;
    let forged = desk.rig.get("/api/v1/whoami").bearer_auth(signer("b").sign(&claims(json!({}))));
    assert_eq!(refused(forged).await["reason"], "JWT_INVALID");
    assert_eq!(desk.came(), 0);
}
