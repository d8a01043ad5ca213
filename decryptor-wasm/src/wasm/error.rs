//! Errors of the core as JavaScript `Error` objects with `code`, `kind`, `advice` and what else they say of themselves, and back.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;

use crate::{Code, Error, Field, Value};

impl From<Error> for JsValue {
    fn from(error: Error) -> JsValue {
        let js: JsValue = js_sys::Error::new(&error.to_string()).into();
        set(&js, "code", error.code().name().into());
        set(&js, "kind", error.kind().name().into());
        if let Some(advice) = error.advice() {
            set(&js, "advice", advice.into());
        }
        for (field, value) in error.context() {
            let value = match value {
                Value::Text(text) => text.into(),
                Value::Number(number) => (*number as f64).into(),
            };
            set(&js, field.name(), value);
        }
        js
    }
}

/// Sets a member of a new object, which cannot fail.
fn set(object: &JsValue, name: &str, value: JsValue) {
    drop(Reflect::set(object, &name.into(), &value));
}

/// The error of the core that was thrown in JavaScript, or one of a known kind that was made there; of anything else its message.
pub(super) fn returned(js: &JsValue) -> Error {
    let member = |name: &str| Reflect::get(js, &name.into()).unwrap_or_default();
    let code = |name| Code::named(&member(name).as_string()?);
    let Some(code) = code("code").or_else(|| code("kind")) else {
        let message = member("message").as_string().unwrap_or_default();
        return Error::of(Code::Failed).with(Field::Detail, message);
    };
    let mut error = Error::of(code);
    for field in Field::ALL {
        let value = member(field.name());
        if let Some(text) = value.as_string() {
            error = error.with(*field, text);
        } else if let Some(number) = value.as_f64() {
            error = error.with(*field, number as u64);
        }
    }
    error
}

/// The error of that code; `context` has its values by the names of their fields.
#[wasm_bindgen(js_name = errorOf)]
pub fn error_of(code: &str, context: JsValue) -> JsValue {
    set(&context, "code", code.into());
    returned(&context).into()
}
