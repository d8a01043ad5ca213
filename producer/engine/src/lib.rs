//! The engine of `pryv-backup`: backs up Pryv.io platforms, and reads, keeps and restores the backups.
//!
//! # Operations
//!
//! [`operations`] has one module for each thing that can be done, each with a function `run`. It takes options, which say what is
//! wanted, and an [`observer`], which hears what people should know, shows progress and is asked for secrets. It returns what came of it,
//! or a [`failure`]. The library itself prints nothing, asks nobody and knows no command line.
//!
//! ```
//! use pryv_backup_engine::{
//!     installation::Installation,
//!     observer::Silent,
//!     opening::ArchiveOptions,
//!     operations::{backup, verify},
//!     platform::PlatformMode,
//!     sample::create_sample_platform,
//!     trust::{Expect, Trust},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let platform = folder.path().join("platform");
//! create_sample_platform(&platform)?;
//! // The key with which this host signs is made there.
//! let trust = Trust {
//!     state_dir: Some(folder.path().join("state")),
//!     ..Trust::default()
//! };
//!
//! let installation = Installation {
//!     config: Some(platform.join("config.yml")),
//!     root: platform,
//! };
//! let made = backup::run(
//!     &backup::Options {
//!         // The sample has no database of its own beside those of the users.
//!         platform: PlatformMode::None,
//!         trust: trust.clone(),
//!         ..backup::Options::new(installation, folder.path().join("backup"))
//!     },
//!     &Silent,
//! )?;
//! assert_eq!((made.users, made.losses.len()), (3, 0));
//!
//! let opening = ArchiveOptions {
//!     dir: folder.path().join("backup").into(),
//!     expect: Expect {
//!         id: Some(made.archive_id),
//!         trust,
//!         ..Expect::default()
//!     },
//!     ..ArchiveOptions::default()
//! };
//! let verified = verify::run(&verify::Options { opening, ..Default::default() }, &Silent)?;
//! assert_eq!(verified.verdict, "good");
//! assert!(verified.pinned);
//! # Ok(())
//! # }
//! ```
//!
//! # What they are made of
//!
//! - [`installation`] and [`config`]: where the databases of a platform are, as Pryv.io's own configuration says.
//! - [`platform`]: the databases, read as of one instant, and written; one folder for each engine.
//! - [`archive`]: archives on disk, written and read.
//! - [`state`]: what this host keeps between two runs: its key, and numbers of what the last run held.
//! - [`opening`], [`secrets`], [`trust`], [`findings`]: which archive is opened, with what, and what is to be said of it.
//! - [`sealing`], [`signing`]: how a new archive is locked, and who signs it.
//! - [`failure`], [`advice`]: how an operation fails, and what helps.
//! - [`interrupt`]: signals, for work that is ended in order.
//!
//! Data flows one way: platform -> records -> archive -> destination. No module imports one that imports it.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![warn(clippy::too_many_lines)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod advice;
pub mod archive;
pub mod config;
pub mod digest;
pub mod failure;
pub mod files;
pub mod findings;
pub mod folders;
pub mod installation;
pub mod interrupt;
pub mod limits;
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
pub mod second_factor;
pub mod secrets;
pub mod shell;
pub mod signing;
pub mod state;
pub mod storage;
pub mod text;
pub mod threads;
pub mod tools;
pub mod trust;
