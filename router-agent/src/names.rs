//! The addresses of the domains that rules name, asked of the device's own resolver again and again.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use policy::Answers;
use schemas::domain::Domain;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::running::{Running, RunningWatch};

/// Where the addresses of domains are learnt.
pub(crate) type AnswersWatch = watch::Receiver<Arc<Answers>>;

const EVERY: Duration = Duration::from_secs(60);
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
const UNDER_WAY_MAX: usize = 16;
/// Domains beyond this stand for no address.
const DOMAINS_MAX: usize = 1_000;
const ADDRESSES_MAX: usize = 64;

/// Keeps `answers` up to date with the domains of the config in force, until stopped. A domain that cannot be looked up
/// keeps the addresses that it had.
pub(crate) async fn follow(mut running: RunningWatch, answers: watch::Sender<Arc<Answers>>, stop: CancellationToken) {
    loop {
        let domains = domains(&running.borrow_and_update());
        let known = Arc::clone(&answers.borrow());
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = ask(&domains, &known) => found,
        };
        answers.send_if_modified(|answers| {
            let is_new = **answers != found;
            if is_new {
                info!("the addresses of {} domains are known", found.len());
                *answers = Arc::new(found);
            }
            is_new
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(EVERY) => {}
            others = others(&mut running, &domains) => if others.is_err() { return },
        }
    }
}

/// The domains whose addresses the config in force needs.
fn domains(running: &Running) -> BTreeSet<Domain> {
    let Some(config) = &running.config else { return BTreeSet::new() };
    policy::domains(&config.ruleset).into_iter().take(DOMAINS_MAX).cloned().collect()
}

/// Waits until the config in force needs other domains.
async fn others(running: &mut RunningWatch, domains: &BTreeSet<Domain>) -> Result<(), watch::error::RecvError> {
    running.wait_for(|running| self::domains(running) != *domains).await.map(|_| ())
}

async fn ask(domains: &BTreeSet<Domain>, known: &Answers) -> Answers {
    let lookups = futures::stream::iter(domains.clone()).map(|domain| async move {
        let found = look_up(&domain).await;
        (domain, found)
    });
    let mut lookups = lookups.buffer_unordered(UNDER_WAY_MAX);
    let mut answers = Answers::new();
    while let Some((domain, found)) = lookups.next().await {
        let found = found.or_else(|error| {
            warn!("{domain} cannot be looked up: {error}");
            known.get(&domain).cloned().ok_or(error)
        });
        answers.extend(found.ok().map(|addresses| (domain, addresses)));
    }
    answers
}

async fn look_up(domain: &Domain) -> std::io::Result<BTreeSet<IpAddr>> {
    let found = timeout(LOOKUP_TIMEOUT, lookup_host((domain.as_str(), 0))).await;
    let found = found.map_err(|_| std::io::Error::other("no answer in time"))??;
    let all: BTreeSet<IpAddr> = found.map(|at| at.ip().to_canonical()).collect();
    Ok(all.into_iter().take(ADDRESSES_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<Domain> {
        names.iter().map(|name| name.parse().expect("a domain")).collect()
    }

    #[tokio::test]
    async fn what_resolves_is_known_and_what_does_not_keeps_what_it_had() {
        let (localhost, nowhere) = (names(&["localhost"]), names(&["nowhere.invalid"]));
        let loopback: IpAddr = "127.0.0.1".parse().expect("an address");
        let found = ask(&localhost, &Answers::new()).await;
        assert!(found.values().all(|addresses| addresses.contains(&loopback)) && found.len() == 1, "{found:?}");

        assert!(ask(&nowhere, &Answers::new()).await.is_empty());
        let known: Answers = nowhere.iter().map(|domain| (domain.clone(), BTreeSet::from([loopback]))).collect();
        assert_eq!(ask(&nowhere, &known).await, known);
        assert_eq!(ask(&localhost, &known).await, found, "what nobody needs is forgotten");
    }
}
