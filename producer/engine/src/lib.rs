//! The engine of `pryv-backup`: reads a Pryv.io platform and writes encrypted backups of it.
//!
//! Data flows one way: platform -> records -> archive -> destination.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod archive;
pub mod config;
pub mod failure;
pub mod files;
pub mod findings;
pub mod folders;
pub mod installation;
pub mod interrupt;
pub mod observer;
pub mod opening;
pub mod operations;
pub mod pii;
pub mod platform;
pub mod progress;
pub mod random;
pub mod regular;
pub mod sample;
pub mod schedule;
pub mod sealing;
pub mod secrets;
pub mod signing;
pub mod state;
pub mod text;
pub mod threads;
pub mod trust;
