//! How an operation fails: a kind, a stable code, and one line.

use decryptor_wasm::{Error, ErrorKind, Field, Value};

use crate::{
    advice::{Advice, Sentence},
    archive::{ArchiveError, listed_files::ReplaceError},
    config::ConfigError,
    interrupt,
    platform::{ExportError, PlatformError, write::RestoreError},
    storage::{self, StoreErrorKind},
};

/// How an operation failed, or in an outcome what kept it from being complete. In rising order of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FailureKind {
    /// Something failed.
    Failed,
    /// It was asked for wrongly.
    Usage,
    /// No key, or not the right one.
    Key,
    /// An archive is damaged, incomplete or was tampered with.
    Damaged,
    /// It would be done with losses.
    Losses,
    /// This signal came.
    Interrupted(u8),
}

impl FailureKind {
    /// A stable lower-case name, for JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Failed => "failed",
            FailureKind::Usage => "usage",
            FailureKind::Key => "key",
            FailureKind::Damaged => "damaged",
            FailureKind::Losses => "losses",
            FailureKind::Interrupted(_) => "interrupted",
        }
    }
}

impl From<ErrorKind> for FailureKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => FailureKind::Usage,
            ErrorKind::Key => FailureKind::Key,
            ErrorKind::Damaged => FailureKind::Damaged,
            _ => FailureKind::Failed,
        }
    }
}

macro_rules! codes {
    ($($code:ident $name:literal $meaning:literal;)*) => {
        /// Causes of failures that the core does not know. `docs/errors.md` lists the names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum EngineCode { $(#[doc = $meaning] $code,)* }

        impl EngineCode {
            /// A stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(EngineCode::$code => $name,)* }
            }
        }

        #[cfg(test)]
        const MEANINGS: &[(&str, &str)] = &[$(($name, $meaning),)*];
    };
}

codes! {
    OutputUnwritable "output-unwritable" "The system refused to write the backup.";
    OutputLost "output-lost" "Another run to the same place in an object store was finished first.";
    OutputBegun "output-begun" "Another host has begun to finish a run in an object store, and did not end it.";
    StoreFailed "store-failed" "An object store refused or failed.";
    StoreUnfit "store-unfit" "An object store cannot keep two runs from overwriting each other.";
    OutputUnsettled "output-unsettled" "The backup is made, but it may not outlast a power failure.";
    OutputExists "output-exists" "The folder holds a backup already.";
    OutputBusy "output-busy" "Another backup is being written there.";
    OutputNotEmpty "output-not-empty" "The folder holds something else.";
    OutputForeign "output-foreign" "The folder holds a backup of Pryv's own tool, which no increment can follow.";
    OutputOtherSource "output-other-source" "The runs there are of another platform or of other users.";
    UnsafeName "unsafe-name" "An id of the platform cannot be the name of a file.";
    NoRandomness "no-randomness" "The system gave no random bytes.";
    Compression "compression" "Compression failed.";
    ConfigUnreadable "config-unreadable" "A configuration file cannot be read.";
    ConfigValue "config-value" "A setting has a value that means nothing.";
    PlatformFile "platform-file" "A file of the platform cannot be read.";
    PlatformSqlite "platform-sqlite" "A SQLite file of the platform cannot be read.";
    PlatformRecord "platform-record" "A stored record is not what Pryv.io writes.";
    PlatformChanged "platform-changed" "A file of the platform was written to while it was read.";
    PlatformRqlite "platform-rqlite" "The rqlite server does not answer as it should.";
    PlatformPostgres "platform-postgres" "The PostgreSQL server does not answer as it should.";
    PlatformInfluxdb "platform-influxdb" "The InfluxDB server does not answer as it should.";
    PlatformS3 "platform-s3" "The bucket of the attachments does not answer as it should.";
    PlatformUnsupported "platform-unsupported" "The configuration names a mix of engines that Pryv.io itself cannot run.";
    RestoreFile "restore-file" "A file of the platform cannot be written.";
    RestoreRecord "restore-record" "A record of the archive is not what the platform takes, or is there twice.";
    RestoreConflict "restore-conflict" "The platform already has what the archive brings.";
    RestoreUnfinished "restore-unfinished" "The user is restored, but a later step failed; the next restore finishes it.";
    RestoreUnknown "restore-unknown" "It could not be found out whether the user is restored; the next restore finds out.";
}

/// A failure of an operation.
#[derive(Debug)]
pub struct Failure {
    kind: FailureKind,
    code: &'static str,
    sentence: Sentence,
    context: Vec<(Field, Value)>,
}

impl Failure {
    /// A failure of this kind, of which no more is known than its sentence: what happened and what to do.
    pub fn of(kind: FailureKind, message: impl Into<String>) -> Self {
        Failure {
            kind,
            code: kind.name(),
            sentence: message.into().into(),
            context: Vec::new(),
        }
    }

    /// Something failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Failure::of(FailureKind::Failed, message)
    }

    /// The command was given wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::of(FailureKind::Usage, message)
    }

    /// No key, or not the right one.
    pub fn key(message: impl Into<String>) -> Self {
        Failure::of(FailureKind::Key, message)
    }

    /// The archive is damaged.
    pub fn damaged(message: impl Into<String>) -> Self {
        Failure::of(FailureKind::Damaged, message)
    }

    /// Ends with a failure when a signal came.
    ///
    /// # Errors
    /// When one came.
    pub fn unless_interrupted() -> Result<(), Failure> {
        match interrupt::came() {
            0 => Ok(()),
            signal => Err(Failure::of(
                FailureKind::Interrupted(signal as u8),
                "interrupted; unfinished files were removed",
            )),
        }
    }

    /// Ends with a failure when an object store could not be read: what seems damaged or missing then may not be.
    ///
    /// # Errors
    /// When one could not.
    pub fn unless_store_failed() -> Result<(), Failure> {
        match storage::failure() {
            None => Ok(()),
            Some(error) => Err(Failure::coded(
                FailureKind::Failed,
                EngineCode::StoreFailed,
                &error,
            )),
        }
    }

    fn coded(kind: FailureKind, code: EngineCode, error: &dyn std::error::Error) -> Self {
        Failure {
            code: code.name(),
            ..Failure::of(kind, error.to_string())
        }
    }

    /// The same failure with another sentence.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.sentence.text = message.into();
        self
    }

    /// The same failure, with what helps; none leaves it as it is.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Option<Advice>>) -> Self {
        self.sentence.advice = advice.into().or(self.sentence.advice);
        self
    }

    /// The same failure, for which a signal is to blame.
    #[must_use]
    pub fn because_of(self, signal: FailureKind) -> Self {
        Failure {
            kind: signal,
            code: signal.name(),
            ..self
        }
    }

    /// The same failure at work on a user.
    #[must_use]
    pub fn of_user(mut self, username: &str) -> Self {
        self.sentence = self.sentence.about(format_args!("user {username}"));
        self.context.push((Field::User, username.into()));
        self
    }

    /// Kind of the failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// One sentence: what happened and, where anybody can do it, what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.sentence.text
    }

    /// The sentence, and what else helps.
    #[must_use]
    pub fn sentence(&self) -> &Sentence {
        &self.sentence
    }

    /// A stable name; `docs/errors.md` lists them.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The path, run, user or numbers that it is about.
    #[must_use]
    pub fn context(&self) -> &[(Field, Value)] {
        &self.context
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence.text)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let detail = error.kind().code() != error.code();
        let context = error.context().iter();
        let context = context.filter(|(field, _)| detail || *field != Field::Detail);
        Failure {
            kind: error.kind().into(),
            code: error.code().name(),
            context: context.cloned().collect(),
            sentence: Sentence::new(error.to_string(), Advice::Core(Box::new(error))),
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        use FailureKind::{Failed, Usage};
        let (kind, code) = match error {
            ArchiveError::Core(core) => return core.into(),
            ArchiveError::Exists(_) => (Usage, EngineCode::OutputExists),
            ArchiveError::NotEmpty(_) => (Usage, EngineCode::OutputNotEmpty),
            ArchiveError::Busy(_) => (Usage, EngineCode::OutputBusy),
            ArchiveError::OtherSource(_) => (Usage, EngineCode::OutputOtherSource),
            ArchiveError::UnknownCompanions(_) => {
                return Failure::damaged(error.to_string()).advise(Advice::SignerOrNewFolder);
            }
            ArchiveError::Foreign(_) => (Usage, EngineCode::OutputForeign),
            ArchiveError::Io { .. } | ArchiveError::Write(_) => {
                (Failed, EngineCode::OutputUnwritable)
            }
            ArchiveError::Lost(_) | ArchiveError::Taken(_) => (Failed, EngineCode::OutputLost),
            ArchiveError::Begun(_) => (Failed, EngineCode::OutputBegun),
            ArchiveError::Store(_) | ArchiveError::Unfinished(_) => {
                (Failed, EngineCode::StoreFailed)
            }
            ArchiveError::Unconditional(_) => {
                return Failure::coded(Usage, EngineCode::StoreUnfit, &error)
                    .advise(Advice::SingleWriter);
            }
            ArchiveError::Unsettled(..) => (Failed, EngineCode::OutputUnsettled),
            ArchiveError::UnsafeName(_) => (Failed, EngineCode::UnsafeName),
            ArchiveError::Random(_) => (Failed, EngineCode::NoRandomness),
            ArchiveError::Compress(_) => (Failed, EngineCode::Compression),
        };
        Failure::coded(kind, code, &error)
    }
}

impl From<ReplaceError> for Failure {
    fn from(error: ReplaceError) -> Self {
        match error {
            ReplaceError::Io(path, e) => Failure::failed(format!("{}: {e}", path.display())),
            ReplaceError::Core(error) => error.into(),
            ReplaceError::Store(error) => match error.kind() {
                StoreErrorKind::Exists => Failure::failed(format!(
                    "{error}: somebody else changed it meanwhile; run it again"
                )),
                _ => Failure::coded(FailureKind::Failed, EngineCode::StoreFailed, &error),
            },
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::File { .. } => EngineCode::ConfigUnreadable,
            ConfigError::Value { .. } => EngineCode::ConfigValue,
        };
        Failure::coded(FailureKind::Failed, code, &error)
    }
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        let code = match error {
            PlatformError::Io { .. } => EngineCode::PlatformFile,
            PlatformError::Sqlite { .. } => EngineCode::PlatformSqlite,
            PlatformError::Record { .. } => EngineCode::PlatformRecord,
            PlatformError::Changed { .. } => EngineCode::PlatformChanged,
            PlatformError::Rqlite { .. } => EngineCode::PlatformRqlite,
            PlatformError::Postgres { .. } => EngineCode::PlatformPostgres,
            PlatformError::Influxdb { .. } => EngineCode::PlatformInfluxdb,
            PlatformError::S3(_) => EngineCode::PlatformS3,
            PlatformError::WithoutBase { .. } => EngineCode::PlatformUnsupported,
            // Whoever ends the process knows the signal.
            PlatformError::Interrupted => return Failure::failed(error.to_string()),
        };
        Failure::coded(FailureKind::Failed, code, &error).advise(error.advice())
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Platform(error) => error.into(),
            ExportError::User { username, source } => Failure::from(*source).of_user(&username),
            // The archive's own errors pass through the platform untouched.
            ExportError::Sink(source) => match source.downcast::<ArchiveError>() {
                Ok(archive) => (*archive).into(),
                Err(other) => Failure::failed(other.to_string()),
            },
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        use FailureKind::{Damaged, Failed};
        let (kind, code) = match error {
            RestoreError::Archive(error) => return error.into(),
            RestoreError::Platform(error) => return error.into(),
            RestoreError::Record { .. } => (Damaged, EngineCode::RestoreRecord),
            RestoreError::Write { .. } => (Failed, EngineCode::RestoreFile),
            RestoreError::Conflict { .. } | RestoreError::AlreadyThere { .. } => {
                (Failed, EngineCode::RestoreConflict)
            }
            RestoreError::Unfinished(_) => (Failed, EngineCode::RestoreUnfinished),
            RestoreError::Unknown(_) => (Failed, EngineCode::RestoreUnknown),
        };
        Failure::coded(kind, code, &error).advise(error.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_list_every_code() {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        let document = std::fs::read_to_string(place).unwrap();
        let (_, table) = document
            .split_once("\n## Errors of `pryv-backup` alone")
            .unwrap();
        let listed: Vec<&str> = table.lines().filter(|l| l.starts_with("| `")).collect();
        let due = MEANINGS.iter();
        let due: Vec<String> = due.map(|(n, m)| format!("| `{n}` | {m} |")).collect();
        assert_eq!(listed, due);
    }
}
