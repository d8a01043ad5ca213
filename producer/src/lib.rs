//! Producer.
pub mod platform;
