//! The server around the routes: ids, limits, logs, and an answer whatever happens.

mod coding;
mod patience;

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use futures::FutureExt;
use schemas::reason::Reason;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::admission::Gate;
use crate::cors::{self, CrossOrigin};
use crate::operation::{self, Operation};
use crate::problem::Problem;
use crate::tally::Tally;
use crate::version;

use patience::Patience;
pub use patience::RouteTimeout;

/// The largest body that a route reads, decoded, unless it has a `DefaultBodyLimit` of its own.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Serves until `stop`, then lets running requests end for at most `drain`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    gate: &Gate,
    stop: CancellationToken,
    drain: Duration,
) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("cannot switch off delays on a connection: {error}");
        }
    });
    let service = front(router, gate).into_make_service_with_connect_info::<SocketAddr>();
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
pub fn front(router: Router, gate: &Gate) -> Router {
    // Routes add the Allow header of a 405 outside their own layers, so the front goes around the router as a whole.
    let routes = router.layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    Router::new().fallback(watch).with_state(Front { routes, gate: gate.clone() })
}

/// The routes, and what goes around them.
#[derive(Clone)]
struct Front {
    routes: Router,
    gate: Gate,
}

/// Gives the request its id, waits for its answer, makes the answer whole and logs one line.
async fn watch(State(front): State<Front>, mut request: Request) -> Response {
    let (operation, patience) = (Operation::fresh(), Patience::default());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let tally = Tally::new(&path);
    request.extensions_mut().insert(operation);
    request.extensions_mut().insert(patience.clone());
    request.extensions_mut().insert(tally.clone());
    let version = version::wanted(request.headers());
    let taken = coding::taken(&method, request.headers());
    let allowed = front.gate.cors().zip(CrossOrigin::of(&method, request.headers()));
    let is_preflight = allowed.as_ref().is_some_and(|(_, asked)| asked.is_preflight());
    let span = tracing::info_span!("request", operation = %operation.0);

    let started = Instant::now();
    let response = match &version {
        Ok(_) if is_preflight => StatusCode::NO_CONTENT.into_response(),
        Ok(_) => answer(front.routes, request, &patience).instrument(span).await,
        Err(problem) => problem.clone().answer(None),
    };
    let mut response = coding::compress(finish(response, &method, operation), taken).await;
    let headers = response.headers_mut();
    version::write(version.unwrap_or(version::NEWEST), headers);
    if let Some(standing) = tally.standing() {
        standing.write(headers);
        // What one caller may see is nothing for others, nor for later without asking.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    }
    if let Some((cors, asked)) = allowed {
        cors::write(cors.headers(asked).await, headers);
    }
    let (status, micros) = (response.status().as_u16(), started.elapsed().as_micros());
    tracing::debug!(operation = %operation.0, %method, path, status, micros, "{method} {path} {status}");
    response
}

/// The answer of the routes, within the time that they may take, even if they panic.
async fn answer(routes: Router, request: Request, patience: &Patience) -> Response {
    let answer = AssertUnwindSafe(coding::answer(routes, request)).catch_unwind();
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

/// Names the operation, in the header and in the body of a refusal, and speaks for the router where it has no words.
fn finish(mut response: Response, method: &Method, operation: Operation) -> Response {
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| refusal_of_the_router(&mut response));
    let is_question = method == Method::OPTIONS;
    let mut response = match problem {
        // What a path takes is in the Allow header.
        Some(problem) if is_question && problem.reason == Reason::MethodNotAllowed => {
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().remove(CONTENT_LENGTH);
            response
        }
        Some(problem) => {
            let mut rewritten = problem.answer(Some(operation.0));
            rewritten.extensions_mut().remove::<Problem>();
            for (name, value) in response.headers() {
                if !rewritten.headers().contains_key(name) && name != CONTENT_LENGTH {
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

/// The router itself answers 404 and 405 with an empty body, and does not know that every path takes OPTIONS.
fn refusal_of_the_router(response: &mut Response) -> Option<Problem> {
    if !coding::is_empty(response) {
        return None;
    }
    if response.status() == StatusCode::NOT_FOUND {
        return Some(Problem::new(
            Reason::RouteUnknown,
            "there is nothing at this path; /api-docs shows what there is",
        ));
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let known = response.headers().get(ALLOW).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let words = known.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "OPTIONS");
        let allowed = words.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ");
        if let Ok(value) = HeaderValue::try_from(&allowed) {
            response.headers_mut().insert(ALLOW, value);
        }
        return Some(Problem::new(Reason::MethodNotAllowed, format!("this path takes {allowed}")));
    }
    None
}
