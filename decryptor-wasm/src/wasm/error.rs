//! Core errors as JavaScript `Error` objects with `code`, `kind`, `advice` and what else they say of themselves, and back.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;

use crate::{Code, Error, Field, Value};

impl From<Error> for JsValue {
    fn from(error: Error) -> JsValue {
        let js: JsValue = js_sys::Error::new(&error.to_string()).into();
        // Setting a property of a fresh object cannot fail.
        let set = |name: &str, value: JsValue| drop(Reflect::set(&js, &name.into(), &value));
        set("code", error.code().name().into());
        set("kind", error.kind().name().into());
        if let Some(advice) = error.advice() {
            set("advice", advice.into());
        }
        for (field, value) in error.context() {
            let value = match value {
                Value::Text(text) => text.into(),
                Value::Number(number) => (*number as f64).into(),
            };
            set(field.name(), value);
        }
        js
    }
}

/// An error of the core that went through JavaScript, or one of a known kind that was made there.
fn known(js: &JsValue) -> Option<Error> {
    let property = |name: &str| Reflect::get(js, &name.into()).unwrap_or_default();
    let code = |name| Code::named(&property(name).as_string()?);
    let mut error = Error::of(code("code").or_else(|| code("kind"))?);
    for field in Field::ALL {
        let value = property(field.name());
        if let Some(text) = value.as_string() {
            error = error.with(*field, text);
        } else if let Some(number) = value.as_f64() {
            error = error.with(*field, number as u64);
        }
    }
    Some(error)
}

/// The same; of anything else that was thrown, its message.
pub(super) fn returned(js: &JsValue) -> Error {
    known(js).unwrap_or_else(|| {
        let message = Reflect::get(js, &"message".into()).unwrap_or_default();
        Error::of(Code::Failed).with(Field::Detail, message.as_string().unwrap_or_default())
    })
}

/// The error of that code; `context` has its values by the names of their fields.
#[wasm_bindgen(js_name = errorOf)]
pub fn error_of(code: &str, context: JsValue) -> JsValue {
    let _ = Reflect::set(&context, &"code".into(), &code.into());
    returned(&context).into()
}
