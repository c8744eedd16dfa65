//! Query strings, with the name of a bad parameter in the error.

use std::collections::HashSet;
use std::error::Error;

use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use axum::http::Uri;
use axum::http::request::Parts;
use schemas::reason::Reason;
use serde::de::DeserializeOwned;

use crate::body::place;
use crate::problem::Problem;

/// The query parameters. `T` says `#[serde(deny_unknown_fields)]`, so that no misspelt one is passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(&parts.uri).map(Self)
    }
}

pub(crate) fn parse<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    axum::extract::Query::try_from_uri(uri).map(|query| query.0).map_err(|rejection| refuse(&rejection))
}

/// The parameters as they stand, each at most once.
pub(crate) fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let pairs: Vec<(String, String)> = parse(uri)?;
    let mut names = HashSet::new();
    match pairs.iter().find(|(name, _)| !names.insert(name)) {
        Some((name, _)) => Err(Problem::new(Reason::QueryInvalid, format!("{name} is given twice")).field(name)),
        None => Ok(pairs),
    }
}

fn refuse(rejection: &QueryRejection) -> Problem {
    let mut cause: Option<&(dyn Error + 'static)> = Some(rejection);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<serde_path_to_error::Error<serde::de::value::Error>>() {
            let message = error.inner().to_string();
            let problem = Problem::new(Reason::QueryInvalid, message.as_str());
            return match place(&error.path().to_string(), &message) {
                Some(field) => problem.field(field),
                None => problem,
            };
        }
        cause = error.source();
    }
    Problem::new(Reason::QueryInvalid, "the query string is malformed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        limit: u32,
        name: Option<String>,
    }

    fn read(query: &str) -> Result<Wanted, Problem> {
        parse(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn the_parameter_at_fault_is_named() {
        assert_eq!(read("limit=3&name=a%20b"), Ok(Wanted { limit: 3, name: Some("a b".to_owned()) }));
        for (query, field) in [("limit=x", "limit"), ("limit=1&colour=red", "colour"), ("name=a", "limit")] {
            let problem = read(query).unwrap_err();
            assert_eq!((problem.reason, problem.field.as_deref()), (Reason::QueryInvalid, Some(field)), "{query}");
        }
        assert!(read("limit=1&limit=2").is_err());
    }

    #[test]
    fn a_parameter_comes_once_among_however_many() {
        let many = (0..13_000).map(|n| format!("{n:x}")).collect::<Vec<_>>().join("&");
        let uri = |query: &str| format!("/?{query}").parse::<Uri>().unwrap();
        assert_eq!(pairs(&uri(&many)).unwrap().len(), 13_000);
        assert_eq!(pairs(&uri(&format!("{many}&a"))).unwrap_err().field.as_deref(), Some("a"));
    }
}
