//! Writes: the options that every write takes, and the body with them.

use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use schemas::digest::sha256_hex;
use schemas::id::OperationId;
use schemas::reason::Reason;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::operation::Operation;
use crate::problem::Problem;
use crate::{body, etag, query};

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 128;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The options of a write. As an extractor it is for writes without a body, and refuses one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// `Idempotency-Key`: 1 to 128 visible ASCII characters.
    pub idempotency_key: Option<String>,
    /// `If-Match`: the revision that the resource must be at; absent or `*` is `None`.
    pub if_match: Option<u64>,
    /// `?dry_run=true`: decide and tell, but change nothing.
    pub dry_run: bool,
    /// SHA-256 over method, path below the API's base, query and body.
    pub request_hash: String,
    pub operation: OperationId,
    /// W3C trace context; a malformed one is as good as none.
    pub traceparent: Option<String>,
}

/// A write with its body, read as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write<T> {
    pub options: WriteOptions,
    pub body: T,
}

impl<T, S> FromRequest<S> for Write<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, rest) = request.into_parts();
        body::expect_json(&parts.headers)?;
        let bytes = body::read(Request::from_parts(parts.clone(), rest), state).await?;
        Ok(Self { options: WriteOptions::read(&parts, &bytes)?, body: body::parse(&bytes)? })
    }
}

impl<S: Send + Sync> FromRequest<S> for WriteOptions {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, rest) = request.into_parts();
        let bytes = body::read(Request::from_parts(parts.clone(), rest), state).await?;
        if !bytes.is_empty() {
            return Err(Problem::new(Reason::BodyInvalid, "this call reads no body"));
        }
        Self::read(&parts, &bytes)
    }
}

impl WriteOptions {
    fn read(parts: &Parts, body: &[u8]) -> Result<Self, Problem> {
        let wanted: Wanted = query::parse(&parts.uri)?;
        Ok(Self {
            idempotency_key: idempotency_key(&parts.headers)?,
            if_match: if_match(&parts.headers)?,
            dry_run: wanted.dry_run,
            request_hash: request_hash(parts, body),
            operation: Operation::of(parts).0,
            traceparent: traceparent(&parts.headers),
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    dry_run: bool,
}

fn request_hash(parts: &Parts, body: &[u8]) -> String {
    // Nested routers cut the base off the path, so /api, /v1 and /api/v1 are the same request.
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    sha256_hex(format!("{}\n{path}\n{query}\n{}", parts.method, sha256_hex(body)).as_bytes())
}

/// The one value of a header; `None` if it is absent.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName, shown: &str) -> Result<Option<&'a str>, Problem> {
    let invalid = |message: &str| Problem::new(Reason::HeaderInvalid, format!("{shown} {message}")).field(shown);
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("is sent twice"));
    }
    value.to_str().map(Some).map_err(|_| invalid("has characters outside visible ASCII"))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = single(headers, &IDEMPOTENCY_KEY, "Idempotency-Key")? else { return Ok(None) };
    let fits = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(Some(key.to_owned()));
    }
    let message = format!("Idempotency-Key has 1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters");
    Err(Problem::new(Reason::HeaderInvalid, message).field("Idempotency-Key"))
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(tag) = single(headers, &header::IF_MATCH, "If-Match")? else { return Ok(None) };
    if tag.trim() == "*" {
        return Ok(None);
    }
    let invalid =
        || Problem::new(Reason::HeaderInvalid, "If-Match is one revision, as the ETag gave it, or *").field("If-Match");
    etag::revision(tag).map(Some).ok_or_else(invalid)
}

fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let fits = lengths == [2, 32, 16, 2] && parts.iter().all(hex) && parts.first() != Some(&"ff");
    let zero = parts.iter().skip(1).take(2).any(|part| part.bytes().all(|byte| byte == b'0'));
    (fits && !zero).then(|| text.to_owned())
}

impl utoipa::IntoParams for WriteOptions {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, place, kind, description: &str| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(place)
                .description(Some(description))
                .schema(Some(ObjectBuilder::new().schema_type(kind)))
                .build()
        };
        let (header, query) = (ParameterIn::Header, ParameterIn::Query);
        vec![
            parameter("Idempotency-Key", header.clone(), Type::String, "The same key does the same write only once"),
            parameter("If-Match", header, Type::String, "The revision that the resource must be at, as its ETag says"),
            parameter("dry_run", query, Type::Boolean, "Decides and tells, but changes nothing"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<WriteOptions, Problem> {
        let mut request = axum::http::Request::builder().method("POST").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        WriteOptions::read(&request.body(()).unwrap().into_parts().0, body)
    }

    #[test]
    fn the_hash_covers_path_query_and_body() {
        let hash = |uri, body: &[u8]| options(uri, &[], body).unwrap().request_hash;
        let first = hash("/a", b"{}");
        assert_eq!(first, hash("/a", b"{}"));
        let others = [hash("/b", b"{}"), hash("/a?dry_run=true", b"{}"), hash("/a", b"{ }"), hash("/a", b"")];
        assert!(others.iter().all(|other| *other != first && other.len() == 64));
    }

    #[test]
    fn if_match_is_one_revision_or_a_star() {
        let read = |value| options("/a", &[("If-Match", value)], b"").map(|options| options.if_match);
        assert_eq!(read("\"12\""), Ok(Some(12)));
        assert_eq!(read("W/\"12\""), Ok(Some(12)));
        assert_eq!(read("*"), Ok(None));
        for bad in ["\"1\", \"2\"", "abc", ""] {
            assert_eq!(read(bad).unwrap_err().field.as_deref(), Some("If-Match"), "{bad}");
        }
    }

    #[test]
    fn idempotency_keys_are_bounded_and_visible() {
        let read = |value: &str| options("/a", &[("Idempotency-Key", value)], b"").map(|read| read.idempotency_key);
        assert_eq!(read("k-1"), Ok(Some("k-1".to_owned())));
        assert!(read(&"k".repeat(128)).is_ok());
        for bad in ["", "a b", &"k".repeat(129)] {
            assert_eq!(read(bad).unwrap_err().reason, Reason::HeaderInvalid, "{bad}");
        }
        let twice = options("/a", &[("Idempotency-Key", "a"), ("Idempotency-Key", "b")], b"");
        assert_eq!(twice.unwrap_err().reason, Reason::HeaderInvalid);
    }

    #[test]
    fn a_misspelt_dry_run_is_refused() {
        assert!(options("/a?dry_run=true", &[], b"").unwrap().dry_run);
        assert_eq!(options("/a?dryrun=true", &[], b"").unwrap_err().field.as_deref(), Some("dryrun"));
        assert_eq!(options("/a?dry_run=yes", &[], b"").unwrap_err().field.as_deref(), Some("dry_run"));
    }

    #[test]
    fn a_malformed_trace_context_is_as_good_as_none() {
        let read = |value: &str| options("/a", &[("traceparent", value)], b"").unwrap().traceparent;
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(read(good).as_deref(), Some(good));
        for bad in ["", "00-4bf9-00f0-01", &good.to_uppercase(), &good.replace("00f067aa0ba902b7", "0000000000000000")]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
