//! The JavaScript face of the core: these modules translate types and nothing else.

mod archive;
mod digest;
mod error;
mod file;
mod keys;
mod memory;
mod open;

use wasm_bindgen::prelude::*;

/// Version of the core.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
