//! How long a request may take until its answer begins. A route may take more time than others.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service};

/// What a request may take, unless its route says otherwise.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// For a route that may wait as long as it likes.
const FOR_EVER: u64 = u64::MAX;

/// The time that one request may take, in milliseconds; shared with the layers of its route.
#[derive(Debug, Clone)]
pub(super) struct Patience(Arc<AtomicU64>);

impl Default for Patience {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(millis(REQUEST_TIMEOUT))))
    }
}

impl Patience {
    /// Waits for the answer; `None` when the time is up.
    pub(super) async fn wait<A>(&self, answer: impl Future<Output = A>) -> Option<A> {
        let started = Instant::now();
        let mut answer = pin!(answer);
        loop {
            let limit = self.0.load(Ordering::Relaxed);
            let Some(until) = started.checked_add(Duration::from_millis(limit)).filter(|_| limit != FOR_EVER) else {
                return Some(answer.await);
            };
            match timeout_at(until, answer.as_mut()).await {
                Ok(answer) => return Some(answer),
                Err(_) if self.0.load(Ordering::Relaxed) <= limit => return None,
                // The route asked for more time meanwhile.
                Err(_) => {}
            }
        }
    }
}

/// A layer for a route whose answer takes longer to begin than that of others. It lengthens only.
#[derive(Debug, Clone, Copy)]
pub struct RouteTimeout(u64);

impl RouteTimeout {
    pub fn of(limit: Duration) -> Self {
        Self(millis(limit))
    }

    /// For routes that wait for something to happen. They watch for the stop of the service themselves.
    pub fn none() -> Self {
        Self(FOR_EVER)
    }
}

impl<S> Layer<S> for RouteTimeout {
    type Service = Patient<S>;

    fn layer(&self, inner: S) -> Patient<S> {
        Patient { inner, limit: self.0 }
    }
}

/// A route with a timeout of its own.
#[derive(Debug, Clone)]
pub struct Patient<S> {
    inner: S,
    limit: u64,
}

impl<S: Service<Request>> Service<Request> for Patient<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> S::Future {
        if let Some(patience) = request.extensions().get::<Patience>() {
            patience.0.fetch_max(self.limit, Ordering::Relaxed);
        }
        self.inner.call(request)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(FOR_EVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(limit: u64) -> Patience {
        Patience(Arc::new(AtomicU64::new(limit)))
    }

    #[tokio::test]
    async fn an_answer_in_time_is_given_and_a_late_one_is_not() {
        assert_eq!(patience(1_000).wait(std::future::ready(7)).await, Some(7));
        assert_eq!(patience(10).wait(std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn a_route_may_take_more_time_while_it_runs() {
        for more in [RouteTimeout::of(Duration::from_secs(60)), RouteTimeout::none()] {
            let patience = patience(10);
            let route = patience.clone();
            let slow = async move {
                let inner = tower::service_fn(async |_request: Request| Ok::<_, std::convert::Infallible>(()));
                let mut request = Request::default();
                request.extensions_mut().insert(route);
                more.layer(inner).call(request).await.ok();
                // The work itself: slower than the first limit, faster than the second.
                tokio::time::sleep(Duration::from_millis(50)).await;
                7
            };
            assert_eq!(patience.wait(slow).await, Some(7));
        }
    }

    #[test]
    fn a_route_never_gets_less_time_than_others() {
        let patience = patience(1_000);
        let mut request = Request::default();
        request.extensions_mut().insert(patience.clone());
        let mut route = RouteTimeout::of(Duration::from_millis(1))
            .layer(tower::service_fn(async |_request: Request| Ok::<_, std::convert::Infallible>(())));
        drop(route.call(request));
        assert_eq!(patience.0.load(Ordering::Relaxed), 1_000);
    }
}
