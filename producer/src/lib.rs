//! Encrypted backups of Pryv.io platforms: configuration, reading, writing.
pub mod config;
pub mod platform;
pub mod sample;
