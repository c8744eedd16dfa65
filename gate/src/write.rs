//! Writes: the options that every write takes, and the body with them.

use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri, header};
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

/// A write with a list: JSON, or NDJSON with one element a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteList<L, E> {
    pub options: WriteOptions,
    pub body: L,
    element: PhantomData<E>,
}

/// A write without a body that is told more in its query than every write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteQuery<Q> {
    pub options: WriteOptions,
    pub query: Q,
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

impl<L, E, S> FromRequest<S> for WriteList<L, E>
where
    L: DeserializeOwned + From<Vec<E>>,
    E: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, rest) = request.into_parts();
        let is_lines = body::is_ndjson(&parts.headers);
        if !is_lines {
            body::expect_json(&parts.headers)?;
        }
        let bytes = body::read(Request::from_parts(parts.clone(), rest), state).await?;
        let options = WriteOptions::read(&parts, &bytes)?;
        let body = if is_lines { body::parse_lines(&bytes)?.into() } else { body::parse(&bytes)? };
        Ok(Self { options, body, element: PhantomData })
    }
}

impl<Q, S> FromRequest<S> for WriteQuery<Q>
where
    Q: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, rest) = request.into_parts();
        let bytes = body::read(Request::from_parts(parts.clone(), rest), state).await?;
        no_body(&bytes)?;
        let of_writes = |pair: &&str| pair.split('=').next() == Some(DRY_RUN);
        let (common, own): (Vec<&str>, Vec<&str>) =
            parts.uri.query().unwrap_or_default().split('&').partition(of_writes);
        let wanted = query::parse(&query_alone(&common))?;
        Ok(Self { options: WriteOptions::with(wanted, &parts, &bytes)?, query: query::parse(&query_alone(&own))? })
    }
}

/// A URI that has these parameters and nothing else.
fn query_alone(pairs: &[&str]) -> Uri {
    // They come from a URI, so that they fit in one.
    format!("/?{}", pairs.join("&")).parse().unwrap_or_default()
}

impl<S: Send + Sync> FromRequest<S> for WriteOptions {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, rest) = request.into_parts();
        let bytes = body::read(Request::from_parts(parts.clone(), rest), state).await?;
        no_body(&bytes)?;
        Self::read(&parts, &bytes)
    }
}

impl WriteOptions {
    fn read(parts: &Parts, body: &[u8]) -> Result<Self, Problem> {
        Self::with(query::parse(&parts.uri)?, parts, body)
    }

    fn with(wanted: Wanted, parts: &Parts, body: &[u8]) -> Result<Self, Problem> {
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

fn no_body(bytes: &[u8]) -> Result<(), Problem> {
    if bytes.is_empty() { Ok(()) } else { Err(Problem::new(Reason::BodyInvalid, "this call reads no body")) }
}

pub(crate) const DRY_RUN: &str = "dry_run";

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
        let parameter = |name: &str, place, schema: ObjectBuilder, description: &str| {
            let builder = ParameterBuilder::new().name(name).parameter_in(place);
            builder.description(Some(description)).schema(Some(schema)).build()
        };
        let text = |pattern: String| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        let key = text(format!("^[!-~]{{1,{IDEMPOTENCY_KEY_CHARS_MAX}}}$"));
        let tag = text(r#"^(\*|(W/)?"[0-9]{1,19}"|[0-9]{1,19})$"#.to_owned());
        let flag = ObjectBuilder::new().schema_type(Type::Boolean);
        let (header, query) = (ParameterIn::Header, ParameterIn::Query);
        vec![
            parameter("Idempotency-Key", header.clone(), key, "The same key does the same write only once"),
            parameter("If-Match", header, tag, "The revision that the resource must be at, as its ETag says; * is any"),
            parameter(DRY_RUN, query, flag, "Decides and tells, but changes nothing"),
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

    #[tokio::test]
    async fn a_write_may_read_more_of_its_query() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Which {
            address: String,
        }
        let read = async |uri: &str| {
            let request = axum::http::Request::builder().method("DELETE").uri(uri).body(axum::body::Body::empty());
            WriteQuery::<Which>::from_request(request.unwrap(), &()).await
        };
        let with = read("/a?address=10.0.0.0%2F8&dry_run=true").await.unwrap();
        assert_eq!((with.query.address.as_str(), with.options.dry_run), ("10.0.0.0/8", true));
        assert_ne!(with.options.request_hash, read("/a?address=x").await.unwrap().options.request_hash);
        for (uri, field) in [("/a", "address"), ("/a?address=x&dry_run=yes", "dry_run"), ("/a?address=x&b=1", "b")] {
            assert_eq!(read(uri).await.unwrap_err().field.as_deref(), Some(field), "{uri}");
        }
    }

    #[tokio::test]
    async fn a_list_is_json_or_one_element_a_line() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Whole {
            numbers: Vec<u8>,
        }
        impl From<Vec<u8>> for Whole {
            fn from(numbers: Vec<u8>) -> Self {
                Self { numbers }
            }
        }
        let read = async |of_type: &str, body: &'static str| {
            let request = axum::http::Request::builder().method("PUT").uri("/a").header("Content-Type", of_type);
            let request = request.body(axum::body::Body::from(body)).unwrap();
            WriteList::<Whole, u8>::from_request(request, &()).await.map(|list| list.body.numbers)
        };
        assert_eq!(read("application/json", r#"{"numbers":[1,2]}"#).await, Ok(vec![1, 2]));
        assert_eq!(read("application/x-ndjson", "1\n2\n").await, Ok(vec![1, 2]));
        let field = |problem: Problem| (problem.reason, problem.field);
        let bad = read("application/x-ndjson", "1\n\n999").await.map_err(field);
        assert_eq!(bad, Err((Reason::BodyInvalid, Some("lines[3]".to_owned()))));
        let bad = read("application/json", r#"{"numbers":[1,999]}"#).await.map_err(field);
        assert_eq!(bad, Err((Reason::BodyInvalid, Some("numbers[1]".to_owned()))));
        assert_eq!(read("text/csv", "1,2").await.unwrap_err().reason, Reason::ContentTypeUnsupported);
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
