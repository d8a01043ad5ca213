//! Chains: what increments bring, and what of them stands after anything that may happen between two runs.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alone;
mod beside;
mod chain;
mod deep;
mod emptied;
mod kills;
mod model;
mod numbers;
mod operations;
mod refusals;
mod server;
mod signing;
mod steps;
mod writers;
