//! The bus against a real nats-server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod nats;
mod people;
mod quota;
