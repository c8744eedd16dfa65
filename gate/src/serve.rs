//! The server around the routes: ids, limits, logs, and an answer whatever happens.

mod patience;

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::ListenerExt;
use futures::FutureExt;
use schemas::reason::Reason;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::operation::{self, Operation};
use crate::problem::Problem;

use patience::Patience;
pub use patience::RouteTimeout;

/// The largest body that a route reads, unless it has a `DefaultBodyLimit` of its own.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Serves until `stop`, then lets running requests end for at most `drain`.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, drain: Duration) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("cannot switch off delays on a connection: {error}");
        }
    });
    let service = front(router).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let deadline = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        result = server => result,
        () = deadline => {
            tracing::warn!("requests still ran {} s after the stop and were cut off", drain.as_secs());
            Ok(())
        }
    }
}

/// The router with everything around it that `serve` adds.
pub fn front(router: Router) -> Router {
    // Routes add the Allow header of a 405 outside their own layers, so these go around the router as a whole.
    let routes = router.layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    Router::new().fallback_service(routes).layer(from_fn(watch))
}

/// Gives the request its id, waits for its answer and logs one line.
async fn watch(mut request: Request, next: Next) -> Response {
    let (operation, patience) = (Operation::fresh(), Patience::default());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(operation);
    request.extensions_mut().insert(patience.clone());
    let id = operation.0;
    let span = tracing::info_span!("request", operation = %id);

    let started = Instant::now();
    let response = answer(request, next, &patience).instrument(span).await;
    let response = finish(response, operation);
    let (status, micros) = (response.status().as_u16(), started.elapsed().as_micros());
    tracing::debug!(operation = %id, %method, path, status, micros, "{method} {path} {status}");
    response
}

/// The answer of the routes, within the time that they may take, even if they panic.
async fn answer(request: Request, next: Next, patience: &Patience) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match patience.wait(answer).await {
        Some(Ok(response)) => response,
        Some(Err(panic)) => {
            let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Problem::internal(format!("a handler panicked: {what}")).answer(None)
        }
        None => {
            let message =
                "the request took longer than allowed; of a write, the same Idempotency-Key tells the outcome";
            Problem::new(Reason::RequestTimeout, message).answer(None)
        }
    }
}

/// Names the operation, in the header and in the body of a refusal.
fn finish(mut response: Response, operation: Operation) -> Response {
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| refusal_of_the_router(&response));
    let mut response = match problem {
        Some(problem) => {
            let mut rewritten = problem.answer(Some(operation.0));
            rewritten.extensions_mut().remove::<Problem>();
            for (name, value) in response.headers() {
                if !rewritten.headers().contains_key(name) && name != axum::http::header::CONTENT_LENGTH {
                    rewritten.headers_mut().append(name, value.clone());
                }
            }
            rewritten
        }
        None => response,
    };
    if let Ok(value) = HeaderValue::try_from(operation.0.to_string()) {
        response.headers_mut().insert(operation::HEADER, value);
    }
    response
}

/// The router itself answers 404 and 405 with an empty body.
fn refusal_of_the_router(response: &Response) -> Option<Problem> {
    let empty = response.body().size_hint().exact() == Some(0);
    if response.status() == StatusCode::NOT_FOUND && empty {
        return Some(Problem::new(
            Reason::RouteUnknown,
            "there is nothing at this path; /api-docs shows what there is",
        ));
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && empty {
        let allowed = response.headers().get(ALLOW).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        return Some(Problem::new(Reason::MethodNotAllowed, format!("this path takes {allowed}")));
    }
    None
}
