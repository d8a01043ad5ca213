//! Texts that look the same. The tables of Unicode are large: in JavaScript the host has them.

/// A Unicode normalization form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// NFC.
    Composed,
    /// NFD.
    Decomposed,
}

#[cfg(not(target_arch = "wasm32"))]
mod host {
    use super::Form;
    use unicode_normalization::UnicodeNormalization;

    pub(crate) fn normalized(text: &str, form: Form) -> String {
        match form {
            Form::Composed => text.nfc().collect(),
            Form::Decomposed => text.nfd().collect(),
        }
    }

    pub(super) fn upper(text: &str) -> String {
        text.to_uppercase()
    }
}

#[cfg(target_arch = "wasm32")]
mod host {
    use super::Form;
    use js_sys::JsString;

    pub(crate) fn normalized(text: &str, form: Form) -> String {
        let form = match form {
            Form::Composed => "NFC",
            Form::Decomposed => "NFD",
        };
        JsString::from(text).normalize(form).into()
    }

    pub(super) fn upper(text: &str) -> String {
        JsString::from(text).to_upper_case().into()
    }
}

pub(crate) use host::normalized;

/// A name as file systems compare it for which `A` and `a` are the same.
pub fn caseless(name: &str) -> String {
    match name.is_ascii() {
        true => name.to_ascii_uppercase(),
        false => host::upper(&normalized(name, Form::Composed)),
    }
}
