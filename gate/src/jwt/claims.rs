//! Claims: what a JWT says, and which role that gives.

use schemas::access::Role;
use schemas::id::OrgId;
use serde_json::{Map, Value};

/// Longer texts are not taken for names or addresses.
const TEXT_CHARS_MAX: usize = 255;

#[derive(Debug, serde::Deserialize)]
pub(super) struct Claims {
    /// Read as one text, so that a list of issuers is refused.
    #[serde(rename = "iss")]
    _issuer: String,
    pub(super) sub: String,
    pub(super) org_id: OrgId,
    pub(super) azp: Option<String>,
    pub(super) exp: f64,
    pub(super) iat: Option<f64>,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

/// The role that a claim gives: one role, or the most powerful in a list, in which other words may stand as well.
pub(super) fn role(claims: &Map<String, Value>, claim: &str) -> Result<Option<Role>, String> {
    let Some(value) = find(claims, claim).filter(|value| !value.is_null()) else { return Ok(None) };
    let read = |value: &Value| serde_json::from_value::<Role>(value.clone()).ok();
    match value.as_array() {
        Some(words) => Ok(words.iter().filter_map(read).max()),
        None => read(value).map(Some).ok_or_else(|| {
            let shown: String = value.to_string().chars().take(80).collect();
            format!("the JWT gives the role {shown} ({claim}), which there is not")
        }),
    }
}

/// A claim by its name; where there is none, the name is a path through objects.
fn find<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a Value> {
    claims.get(claim).or_else(|| {
        let (first, rest) = claim.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
    })
}

/// A claim that is a text for people.
pub(super) fn text(claims: &Map<String, Value>, claim: &str) -> Option<String> {
    let text = claims.get(claim)?.as_str()?.trim();
    let fits = (1..=TEXT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// Whether the issuer does not say that it left the address unchecked. Some issuers write their truth values as text.
pub(super) fn is_email_checked(claims: &Map<String, Value>) -> bool {
    match claims.get("email_verified") {
        None | Some(Value::Bool(true)) => true,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role_of(claims: Value, claim: &str) -> Result<Option<Role>, String> {
        role(claims.as_object().unwrap(), claim)
    }

    #[test]
    fn the_role_is_where_the_configuration_says() {
        assert_eq!(role_of(json!({"role": "admin"}), "role"), Ok(Some(Role::Admin)));
        assert_eq!(role_of(json!({}), "role"), Ok(None));
        assert_eq!(role_of(json!({"role": null}), "role"), Ok(None));
        let nested = json!({"realm_access": {"roles": ["offline_access", "viewer", "operator"]}});
        assert_eq!(role_of(nested, "realm_access.roles"), Ok(Some(Role::Operator)));
        let url = json!({"https://netkeep.example/role": "owner"});
        assert_eq!(role_of(url, "https://netkeep.example/role"), Ok(Some(Role::Owner)));
        assert_eq!(role_of(json!({"role": ["nobody"]}), "role"), Ok(None));
        assert!(role_of(json!({"role": "emperor"}), "role").is_err());
        assert!(role_of(json!({"role": 7}), "role").is_err());
    }

    #[test]
    fn an_address_that_was_not_checked_is_so_in_whatever_words() {
        let checked = |value: Value| is_email_checked(json!({"email_verified": value}).as_object().unwrap());
        assert!(is_email_checked(&Map::new()) && checked(json!(true)) && checked(json!("true")));
        for bad in [json!(false), json!("false"), json!("False"), json!(0), json!(null), json!("")] {
            assert!(!checked(bad.clone()), "{bad}");
        }
    }

    #[test]
    fn texts_are_short_and_printable() {
        let claims = json!({"name": " Ann ", "email": "a\u{7}b", "long": "x".repeat(256), "number": 7});
        let claims = claims.as_object().unwrap();
        assert_eq!(text(claims, "name").as_deref(), Some("Ann"));
        for bad in ["email", "long", "number", "missing"] {
            assert_eq!(text(claims, bad), None, "{bad}");
        }
    }
}
