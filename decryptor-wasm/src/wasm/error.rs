//! Core errors become JavaScript `Error` objects with a `kind`.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use crate::Error;

impl From<Error> for JsValue {
    fn from(error: Error) -> JsValue {
        let js: JsValue = js_sys::Error::new(&error.to_string()).into();
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&js, &"kind".into(), &error.kind().name().into());
        js
    }
}
