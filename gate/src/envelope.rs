//! The envelope of `/v1/firewalls`: there a resource by itself comes as `{"data": …}`, as lists do everywhere.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// Where the envelope is put around, below `/v1`.
const PREFIX: &str = "/firewalls";
/// More than a resource has.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Puts the envelope around a resource that comes by itself.
pub(crate) async fn envelop(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Below a firewall are lists, which have theirs.
    let wanted = path.strip_prefix(PREFIX).is_some_and(|rest| rest.matches('/').count() <= 1);
    let response = next.run(request).await;
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    if wanted && is_json && response.status().is_success() { wrap(response).await } else { response }
}

async fn wrap(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(error).into_response(),
    };
    if body.starts_with(b"{\"data\":") {
        return Response::from_parts(parts, Body::from(body));
    }
    parts.headers.remove(CONTENT_LENGTH);
    let wrapped = [b"{\"data\":".as_slice(), &body, b"}"].concat();
    Response::from_parts(parts, Body::from(wrapped))
}
