//! How a command fails: an exit code and one line.

use decryptor_wasm::ErrorKind;

use crate::{
    archive::ArchiveError,
    config::ConfigError,
    interrupt,
    platform::{ExportError, PlatformError, write::RestoreError},
};

/// A failure of a command.
#[derive(Debug)]
pub struct Failure {
    /// The exit code of the process: 1 failed, 2 usage, 3 key, 4 damaged, 5 done with losses.
    pub code: u8,
    /// What happened and what to do.
    pub message: String,
}

impl Failure {
    /// Something failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Failure {
            code: 1,
            message: message.into(),
        }
    }

    /// For programs: `{"event":"error","code":…,"message":…}`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({"event": "error", "code": self.code, "message": self.message})
    }

    /// The failure to end with when a signal came: exit code 128 + signal.
    ///
    /// # Errors
    /// When one came.
    pub fn unless_interrupted() -> Result<(), Failure> {
        match interrupt::came() {
            0 => Ok(()),
            signal => Err(Failure {
                code: 128 + signal as u8,
                message: "interrupted; what was begun was removed".to_owned(),
            }),
        }
    }

    /// The command was given wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure {
            code: 2,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<decryptor_wasm::Error> for Failure {
    fn from(error: decryptor_wasm::Error) -> Self {
        Failure {
            code: error.kind().exit_code(),
            message: with_advice(&error),
        }
    }
}

/// The sentence of an error of the core, with the flags that help.
#[must_use]
pub fn with_advice(error: &decryptor_wasm::Error) -> String {
    format!("{error}{}", error.advice().unwrap_or_default())
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let code = match error {
            ArchiveError::Core(core) => return core.into(),
            ArchiveError::Exists(_)
            | ArchiveError::NotEmpty(_)
            | ArchiveError::Busy(_)
            | ArchiveError::OtherSource(_)
            | ArchiveError::Foreign(_) => ErrorKind::Usage.exit_code(),
            _ => 1,
        };
        Failure {
            code,
            message: error.to_string(),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::failed(error.to_string())
    }
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        Failure::failed(error.to_string())
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        Failure::failed(error.to_string())
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let code = match error {
            RestoreError::Archive(error) => return error.into(),
            RestoreError::Record { .. } => 4,
            _ => 1,
        };
        Failure {
            code,
            message: error.to_string(),
        }
    }
}
