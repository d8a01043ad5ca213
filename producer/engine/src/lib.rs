//! The engine of `pryv-backup`: reads a Pryv.io platform and writes encrypted backups of it.
//!
//! Data flows one way: platform -> records -> archive -> destination.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod archive;
pub mod config;
pub mod failure;
pub mod files;
pub mod interrupt;
pub mod platform;
pub mod progress;
pub mod regular;
pub mod sample;
pub mod say;
pub mod state;
pub mod text;
pub mod threads;
