//! The projector against a real nats-server and real files.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod nats;
mod history;
mod rows;
mod running;

mod configs;
mod feed;
mod flow_file;
mod flow_table;
mod hostile_batches;
mod neighbours;
mod parked;
mod presence;
mod resting;
mod views;
