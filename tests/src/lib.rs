//! What the tests share: running the command, looking into archives, a private PostgreSQL, and a server that speaks
//! rqlite's HTTP API.
#![allow(clippy::unwrap_used, clippy::panic)]

pub mod chain;
pub mod command;
pub mod compare;
pub mod disk;
pub mod fill;
pub mod folder;
pub mod measure;
pub mod normal;
pub mod plain;
pub mod postgres;
pub mod proxy;
pub mod rich;
pub mod rqlite;
pub mod sampled;
pub mod session;
pub mod sign;
pub mod stage;
pub mod terminal;

/// Says that a test was not run. Directly, because what a test that passes prints is not shown.
pub fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
