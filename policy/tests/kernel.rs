//! The kernel decides as `evaluate` does, and takes whatever script comes out. Needs root; says so where it is not.
#![expect(clippy::expect_used, clippy::print_stderr, clippy::panic, reason = "a test binary")]

#[path = "../src/generated.rs"]
mod generated;
#[path = "../src/generated_org.rs"]
mod generated_org;
#[path = "kernel/namespace.rs"]
mod namespace;
#[path = "kernel/wire.rs"]
mod wire;
#[path = "kernel/world.rs"]
mod world;
#[path = "kernel/agreement.rs"]
mod agreement;
#[path = "kernel/connections.rs"]
mod connections;
#[path = "kernel/orgs.rs"]
mod orgs;
#[path = "kernel/translations.rs"]
mod translations;
#[path = "kernel/size.rs"]
mod size;
