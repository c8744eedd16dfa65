//! The envelope of `/v1/firewalls`: there a resource by itself comes as `{"data": …}`, as lists do everywhere.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Method;
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
    let below = request.uri().path().strip_prefix(PREFIX);
    // Lists have theirs: that of all firewalls, and those below a firewall. They may be large.
    let wanted = below.is_some_and(|rest| match rest.matches('/').count() {
        0 => rest.is_empty() && request.method() == Method::POST,
        levels => levels == 1,
    });
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn answer(method: Method, path: &str, body: &'static str) -> (u16, usize) {
        let json = move || async move { ([(CONTENT_TYPE, "application/json")], body) };
        let routes = Router::new().fallback(get(json).post(json)).layer(from_fn(envelop));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, to_bytes(response.into_body(), usize::MAX).await.unwrap().len())
    }

    #[tokio::test]
    async fn a_resource_by_itself_has_the_envelope_and_a_list_of_any_size_its_own() {
        let wrapped = r#"{"data":{}}"#.len();
        assert_eq!(answer(Method::GET, "/firewalls/fw_1", "{}").await, (200, wrapped));
        assert_eq!(answer(Method::POST, "/firewalls", "{}").await, (200, wrapped));
        assert_eq!(answer(Method::GET, "/firewalls/fw_1/history", "{}").await, (200, 2));
        assert_eq!(answer(Method::GET, "/rules", "{}").await, (200, 2));
        let large: &'static str = format!(r#"{{"data":["{}"]}}"#, "x".repeat(2 * BODY_BYTES_MAX)).leak();
        assert_eq!(answer(Method::GET, "/firewalls", large).await, (200, large.len()));
    }
}
