//! Which core of the platform a backup is of.

use decryptor_wasm::signature::is_core_name;

use super::Options;
use crate::{
    advice::{Advice, Sentence},
    config::Config,
    failure::Failure,
    observer::{Level, Observer},
};

/// How Pryv.io calls a core that is the only one.
const ONLY: &str = "single";

/// The name that is asked for, or else the one in the platform's configuration; none for the only core of a platform.
///
/// # Errors
/// When the name that is asked for cannot be one.
pub fn name(
    options: &Options,
    config: &Config,
    observer: &dyn Observer,
) -> Result<Option<String>, Failure> {
    if let Some(name) = &options.core {
        return match is_core_name(name) {
            true => Ok(Some(name.clone())),
            false => Err(Failure::usage(format!(
                "{name:?} cannot be the name of a core"
            ))),
        };
    }
    let configured = &config.core_id;
    if configured == ONLY {
        return Ok(None);
    }
    if !is_core_name(configured) {
        let text = format!(
            "core.id of the configuration ({configured:?}) cannot be written into the signature, so that the backup names no core"
        );
        let sentence = Sentence::new(text, Advice::NameCore);
        observer.tell_minor(Level::Warning, sentence);
        return Ok(None);
    }
    Ok(Some(configured.clone()))
}
