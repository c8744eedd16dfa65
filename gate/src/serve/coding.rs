//! Codings: bodies that come compressed are read, and answers go compressed to who takes them so.

use std::convert::Infallible;
use std::future::ready;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use schemas::reason::Reason;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;
use tower_http::decompression::RequestDecompressionLayer;

use crate::problem::Problem;

/// A smaller answer is one packet as it is.
const COMPRESSED_BYTES_MIN: u64 = 1_024;

/// Answers a request. Its body is decoded as it is read, so that a route's limit is that of the decoded body.
pub(super) async fn answer(routes: Router, request: Request) -> Response {
    let is_plain = request.headers().get(CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
    if is_plain {
        return infallible(routes.oneshot(request).await);
    }
    let response = infallible(RequestDecompressionLayer::new().layer(routes).oneshot(request).await).map(Body::new);
    let is_refused = response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && is_empty(&response);
    if !is_refused {
        return response;
    }
    let message = "send the body as it is, or with Content-Encoding: gzip or zstd";
    let mut refusal = Problem::new(Reason::EncodingUnsupported, message).field("Content-Encoding").answer(None);
    refusal.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
    refusal
}

/// The codings that a caller takes, if it takes any.
pub(super) fn taken(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    // The answer to HEAD has no body to compress.
    headers.get(ACCEPT_ENCODING).filter(|_| method != Method::HEAD).cloned()
}

/// Compresses an answer with the best coding that the caller takes.
pub(super) async fn compress(response: Response, taken: Option<HeaderValue>) -> Response {
    if !is_worthwhile(&response) {
        return response;
    }
    let Some(taken) = taken else {
        let mut response = response;
        response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
        return response;
    };
    let mut request = axum::http::Request::new(());
    request.headers_mut().insert(ACCEPT_ENCODING, taken);
    let mut answer = Some(response);
    let inner = service_fn(move |_request: axum::http::Request<()>| {
        ready(Ok::<Response, Infallible>(answer.take().unwrap_or_default()))
    });
    // What an API saves by compressing harder costs more than it is worth.
    let layer = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Always);
    infallible(layer.layer(inner).oneshot(request).await).map(Body::new)
}

/// Whether a body is text, is not tiny, and is not one of which each line matters as soon as it comes.
fn is_worthwhile(response: &Response) -> bool {
    let headers = response.headers();
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_text = kind.starts_with("application/json")
        || (kind.starts_with("text/") && !kind.starts_with("text/event-stream"))
        || kind.starts_with("application/x-ndjson")
        || kind.starts_with("application/javascript")
        || kind.starts_with("image/svg");
    let is_large = response.body().size_hint().upper().is_none_or(|bytes| bytes >= COMPRESSED_BYTES_MIN);
    is_text && is_large && !headers.contains_key(CONTENT_ENCODING)
}

pub(super) fn is_empty(response: &Response) -> bool {
    response.body().size_hint().exact() == Some(0)
}

#[derive(Debug, Clone, Copy)]
struct Always;

impl Predicate for Always {
    fn should_compress<B: HttpBody>(&self, _response: &axum::http::Response<B>) -> bool {
        true
    }
}

fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
