//! Restores: what comes back is what was there, whole users only, whatever comes between.
#![allow(clippy::unwrap_used, clippy::panic)]

mod accesses;
mod after;
mod around;
mod bulk;
mod chains;
mod columns;
mod conflicts;
mod defects;
mod draft;
mod faults;
mod hostile;
mod integrity;
mod keys;
mod kills;
mod moments;
mod order;
mod owners;
mod places;
mod postgres;
mod records;
mod round_trips;
mod running;
mod shared;
mod sqlite;
mod waits;
