//! Cross-origin requests: which web pages may call the API from a browser.
//!
//! Callers show tokens that a page has to hold itself, never cookies, so that credentials are never allowed here and
//! any origin may be.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use axum::http::header::{
    ACCEPT, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, AUTHORIZATION, CONTENT_ENCODING,
    CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, ORIGIN, RETRY_AFTER, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::limits::{LIMIT, POLICY, X_LIMIT, X_REMAINING, X_RESET};
use crate::{operation, position, version, write};

const PREFLIGHT_TTL: Duration = Duration::from_secs(600);
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// What decides about the answer to a cross-origin request.
const DECISIVE: [HeaderName; 3] = [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS];

/// The origins that are allowed.
#[derive(Debug)]
pub(crate) struct Cors(CorsLayer);

/// What of a request decides how a browser may use the answer.
#[derive(Debug)]
pub(crate) struct CrossOrigin(Request<()>);

impl Cors {
    /// Reads a list of origins; none means that no page may call. Each that cannot be used is an error.
    pub(crate) fn read(origins: &[String], errors: &mut Vec<String>) -> Option<Self> {
        let origins: Vec<&str> = origins.iter().map(|origin| origin.trim()).filter(|text| !text.is_empty()).collect();
        if origins.is_empty() {
            return None;
        }
        let allowed = if origins.contains(&"*") {
            if origins.len() > 1 {
                errors.push("--cors-origin *: all origins are allowed, so that naming others is a mistake".to_owned());
            }
            AllowOrigin::any()
        } else {
            AllowOrigin::list(origins.into_iter().filter_map(|text| match origin(text) {
                Ok(value) => Some(value),
                Err(why) => {
                    errors.push(format!("--cors-origin {text}: {why}"));
                    None
                }
            }))
        };
        let layer = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(METHODS)
            .allow_headers(request_headers())
            .expose_headers(answer_headers())
            .max_age(PREFLIGHT_TTL);
        Some(Self(layer))
    }

    /// The headers that let a browser use an answer.
    pub(crate) async fn headers(&self, request: CrossOrigin) -> HeaderMap {
        let nothing = service_fn(|_request: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
        match self.0.layer(nothing).oneshot(request.0).await {
            Ok(response) => response.into_parts().0.headers,
            Err(never) => match never {},
        }
    }
}

impl CrossOrigin {
    /// A request that a browser sends for a page of another origin; `None` if it is not one.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        headers.get(ORIGIN)?;
        let mut request = Request::new(());
        for name in DECISIVE {
            request.headers_mut().extend(headers.get(&name).map(|value| (name, value.clone())));
        }
        let asks_first = method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        // Any other OPTIONS is a request like others.
        *request.method_mut() = if asks_first { Method::OPTIONS } else { Method::GET };
        Some(Self(request))
    }

    /// Whether the browser asks if it may send the request at all.
    pub(crate) fn is_preflight(&self) -> bool {
        self.0.method() == Method::OPTIONS
    }
}

/// Adds the headers of [`Cors::headers`] to an answer.
pub(crate) fn write(cors: HeaderMap, headers: &mut HeaderMap) {
    for (name, value) in cors {
        match name {
            Some(name) if name == VARY => drop(headers.append(name, value)),
            Some(name) => drop(headers.insert(name, value)),
            None => {}
        }
    }
}

/// An origin as browsers send it: a scheme and a host, perhaps a port, and nothing after it.
fn origin(text: &str) -> Result<HeaderValue, &'static str> {
    let expected = "expected an origin like https://console.example.com or http://localhost:5173, without a path";
    let uri: Uri = text.parse().map_err(|_| expected)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(expected) };
    let canonical = format!("{scheme}://{authority}");
    let fits = matches!(scheme, "http" | "https") && !authority.as_str().contains('@') && canonical == text;
    let lower = text.to_ascii_lowercase() == text;
    if fits && lower { HeaderValue::from_str(text).map_err(|_| expected) } else { Err(expected) }
}

/// What a page may send.
fn request_headers() -> Vec<HeaderName> {
    vec![
        ACCEPT,
        AUTHORIZATION,
        CONTENT_ENCODING,
        CONTENT_TYPE,
        IF_MATCH,
        IF_NONE_MATCH,
        HeaderName::from_static("last-event-id"),
        HeaderName::from_static("traceparent"),
        HeaderName::from_static(position::MIN_HEADER),
        version::HEADER,
        write::IDEMPOTENCY_KEY,
    ]
}

/// What a page may read.
fn answer_headers() -> Vec<HeaderName> {
    vec![
        ALLOW,
        ETAG,
        LINK,
        LOCATION,
        RETRY_AFTER,
        LIMIT,
        POLICY,
        X_LIMIT,
        X_REMAINING,
        X_RESET,
        HeaderName::from_static("netkeep-idempotent-replay"),
        HeaderName::from_static(operation::HEADER),
        HeaderName::from_static(position::HEADER),
        version::HEADER,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(origins: &[&str]) -> Vec<String> {
        let origins: Vec<String> = origins.iter().map(|text| (*text).to_owned()).collect();
        let mut errors = Vec::new();
        Cors::read(&origins, &mut errors);
        errors
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for good in ["*", "https://a.example", "http://localhost:5173", "http://[::1]:80"] {
            assert_eq!(errors(&[good]), [] as [String; 0], "{good}");
        }
        for bad in [
            "a.example",
            "https://a.example/",
            "https://a.example/x",
            "ftp://a",
            "https://A.example",
            "https://u@a",
            "https://",
        ] {
            assert_eq!(errors(&[bad, "https://b.example"]).len(), 1, "{bad}");
        }
        assert_eq!(errors(&["*", "https://a.example"]).len(), 1);
        assert!(Cors::read(&[String::new()], &mut Vec::new()).is_none());
    }
}
