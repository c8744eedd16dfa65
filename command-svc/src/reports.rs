//! Reports: what devices say of their configs becomes events, and each report is answered.

use bus::Bus;
use bus::requests::ReportRequest;
use futures::StreamExt;
use schemas::access::Role;
use schemas::agent::ReportAnswer;
use schemas::command::Command;
use schemas::id::OperationId;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::clock::{random_command_id, random_ulid};
use crate::orgs::Orgs;
use crate::submission::{Accepted, Failure, Options, Origin};

/// Reports that are worked on at a time; the others wait on the bus.
const AT_ONCE: usize = 256;

/// Answers reports until it is stopped, and then those that it has taken.
pub async fn run(bus: Bus, orgs: Orgs, stop: CancellationToken) -> Result<(), bus::Error> {
    let mut reports = Box::pin(bus.reports().await?);
    let mut working = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = working.join_next() => {}
            Some(request) = reports.next(), if working.len() < AT_ONCE => {
                working.spawn(carry_out(orgs.clone(), request));
            }
        }
    }
    while working.join_next().await.is_some() {}
    Ok(())
}

async fn carry_out(orgs: Orgs, request: ReportRequest) {
    let (org, device) = (request.org.clone(), request.device);
    let origin = Origin::of(device.to_string(), "device_key", Role::Viewer, OperationId::new(random_ulid()));
    let options = Options { command_id: random_command_id(), ..Options::default() };
    let command = Command::ReportConfig(device, request.report.clone());
    let answer = match orgs.submit(&org, command, origin, options).await {
        Ok(Accepted::Done(answer)) => ReportAnswer::Recorded { position: answer.position },
        Ok(Accepted::Would { .. }) => return,
        Err(Failure::Refused(refusal)) => {
            ReportAnswer::Refused { reason: refusal.reason().name(), message: refusal.to_string() }
        }
        // Unanswered, the device asks again.
        Err(failure) => return warn!("report of {device}: {failure}"),
    };
    debug!("report of {device}: {answer:?}");
    if let Err(error) = request.answer(&answer).await {
        warn!("report of {device}: {error}");
    }
}
