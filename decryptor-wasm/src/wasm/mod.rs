//! The JavaScript face of the core: these modules translate types and nothing else. Values that cross often are classes and arrays. Plans, and
//! values that cross once, are JSON text, whose types are in `types.d.ts`: an object that is made member by member takes twice as long.

/// Getters of a class: documentation, name, type and value of each.
macro_rules! getters {
    ($class:ident($value:ident): $($(#[$doc:meta])+ $name:ident: $type:ty = $get:expr;)+) => {
        #[wasm_bindgen]
        #[allow(non_snake_case)]
        impl $class {
            $($(#[$doc])+ #[wasm_bindgen(getter)] pub fn $name(&self) -> $type { let $value = self; $get })+
        }
    };
}

mod blocks;
mod bytes;
mod error;
mod file;
mod keys;
mod open;
mod volumes;

use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts");

/// Version of the core.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
