//! Black-box tests of the running system: over HTTP, over NATS, and with packets in network namespaces.
//!
//! Reading order: `rig` (a running netkeep), `device` (a device without a kernel), `issuer` (of JWTs), `town` (network namespaces with a
//! real agent), then the walkthroughs. `tidy` keeps the house rules.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod rig;
mod device;
mod town;
mod rules;
mod issuer;
mod access;
mod users;
mod commands;
mod crash;
mod isolation;
mod traffic;
mod enforcement;
mod parts;
mod ngfw;
mod hextrap;
mod ngrok;
mod defguard;
mod netbird;
mod clients;
mod contract;
mod tidy;
