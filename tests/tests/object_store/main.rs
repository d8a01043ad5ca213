//! Backups in an object store, as an operator makes, reads and restores them; and stores that fail.
#![allow(clippy::unwrap_used, clippy::panic)]

mod chain;
mod copies;
mod faults;
mod hostile;
mod kills;
mod prune;
mod rekey;
mod repair;
mod uploads;
mod versions;
mod work;
