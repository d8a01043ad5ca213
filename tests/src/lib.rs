//! Helpers of the tests: running the command, looking into archives, a private PostgreSQL, and a server that speaks
//! rqlite's HTTP API.
#![allow(clippy::unwrap_used, clippy::panic)]

pub mod chain;
pub mod command;
pub mod compare;
pub mod disk;
pub mod earlier;
pub mod fill;
pub mod folder;
pub mod influx;
pub mod killed;
pub mod kit;
pub mod measure;
pub mod normal;
pub mod object_store;
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
pub mod volumes;

pub use pryv_backup_test_need as need;

/// How many rounds of something random or repeated a test makes: a few, or with `PRYV_BACKUP_TESTS_NIGHTLY` (`make nightly`) many.
#[must_use]
pub fn rounds(few: u32, many: u32) -> u32 {
    if is_nightly() { many } else { few }
}

/// Whether the tests may take their time; see [`rounds`].
#[must_use]
pub fn is_nightly() -> bool {
    std::env::var_os("PRYV_BACKUP_TESTS_NIGHTLY").is_some()
}
