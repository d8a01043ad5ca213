//! Producer.
pub mod config;
pub mod platform;
