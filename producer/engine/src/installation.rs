//! A Pryv.io installation, as an operation is told of it.

use std::{env, path::PathBuf};

use crate::{
    config::{Config, ConfigError},
    observer::{Level, Observer},
};

/// Where the configuration of a platform is.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Folder of the installation.
    pub root: PathBuf,
    /// Its configuration file; none: the usual one.
    pub config: Option<PathBuf>,
}

impl Installation {
    /// Reads the configuration, and tells what is to be known of it. `with_index`: the platform's own database is read or written too.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is wrong.
    pub fn load(&self, with_index: bool, observer: &dyn Observer) -> Result<Config, ConfigError> {
        let variables = env::vars_os();
        let texts =
            variables.filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let config = Config::load(&self.root, self.config.as_deref(), texts)?;
        if let Some(defaults) = config.defaults(&self.root) {
            observer.tell_minor(Level::Info, defaults);
        }
        for warning in config.warnings(with_index) {
            observer.warn(&warning);
        }
        Ok(config)
    }
}
