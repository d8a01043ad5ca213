//! Restores: what comes back is what was there, whole users only, whatever comes between.
#![allow(clippy::unwrap_used, clippy::panic)]

mod faults;
mod hostile;
mod kills;
mod postgres;
mod round_trips;
mod sqlite;
