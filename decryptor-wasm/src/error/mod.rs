//! One error type for the whole core: a code and its context. `docs/errors.md` lists the codes.

mod advice;
mod codes;
mod describe;

pub use codes::Code;

/// Says what an error means for the caller; each kind has its own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller asked for something that makes no sense.
    Usage,
    /// No key, or a key or passphrase that does not open this archive.
    Key,
    /// The archive is damaged, incomplete or was tampered with.
    Damaged,
    /// Made by a newer or foreign tool in a way this version does not know.
    Unsupported,
    /// Something outside the archive failed (the host's randomness, I/O).
    Failed,
}

impl ErrorKind {
    /// The process exit code that the native tool and the script share.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Usage => 2,
            ErrorKind::Key => 3,
            ErrorKind::Damaged => 4,
            ErrorKind::Unsupported | ErrorKind::Failed => 1,
        }
    }

    /// The code of an error of this kind without a code of its own.
    pub fn code(self) -> Code {
        match self {
            ErrorKind::Usage => Code::Usage,
            ErrorKind::Key => Code::Key,
            ErrorKind::Damaged => Code::Damaged,
            ErrorKind::Unsupported => Code::Unsupported,
            ErrorKind::Failed => Code::Failed,
        }
    }

    /// A stable lower-case name, for JSON output and for JavaScript's `error.kind`.
    pub fn name(self) -> &'static str {
        self.code().name()
    }
}

macro_rules! fields {
    ($($(#[doc = $doc:literal])* $field:ident $name:literal;)*) => {
        /// Names a value that belongs to an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Field { $($(#[doc = $doc])* $field,)* }

        impl Field {
            /// All of them.
            pub const ALL: &'static [Field] = &[$(Field::$field,)*];

            /// A stable name, that of the property in JSON and JavaScript.
            pub fn name(self) -> &'static str {
                const NAMES: &[&str] = &[$($name,)*];
                NAMES[self as usize]
            }
        }
    };
}

fields! {
    /// The file, relative to the archive's folder; or a place that the caller named.
    Path "path";
    /// The run of a chain.
    Run "run";
    /// Another run beside that.
    Other "other";
    /// The run whose state was asked for, where it needs `run`.
    State "state";
    /// The newest run whose state can be had instead.
    Instead "instead";
    /// The user.
    User "user";
    /// The fingerprint of a recipient's key, or the public key of a signer.
    Key "key";
    /// The value that was found.
    Found "found";
    /// The value that was expected.
    Expected "expected";
    /// The number of the frame, line or version concerned, or a count.
    Number "number";
    /// The largest number that is allowed.
    Limit "limit";
    /// The message of a parser or of the system, in English; not stable.
    Detail "detail";
}

impl Field {
    /// The field of that [`Field::name`].
    pub fn named(name: &str) -> Option<Field> {
        let mut all = Field::ALL.iter();
        all.find(|field| field.name() == name).copied()
    }
}

/// The value of a [`Field`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Value::Number(number as u64)
    }
}

/// An error of the core. Its `Display` is one line: what happened and what to do, without any secret; see also [`Error::advice`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    context: Vec<(Field, Value)>,
}

/// The core's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl std::error::Error for Error {}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Error::of(code)
    }
}

impl Error {
    /// An error without context.
    pub fn of(code: Code) -> Self {
        Error {
            code,
            context: Vec::new(),
        }
    }

    /// An error of the caller of the core: its kind, and a sentence. Code must not decide by that sentence.
    pub fn new(kind: ErrorKind, sentence: impl Into<String>) -> Self {
        Error::of(kind.code()).with(Field::Detail, sentence.into())
    }

    /// Shorthand for [`ErrorKind::Damaged`].
    pub fn damaged(sentence: impl Into<String>) -> Self {
        Error::new(ErrorKind::Damaged, sentence)
    }

    /// Shorthand for [`ErrorKind::Key`].
    pub fn key(sentence: impl Into<String>) -> Self {
        Error::new(ErrorKind::Key, sentence)
    }

    /// Shorthand for [`ErrorKind::Unsupported`].
    pub fn unsupported(sentence: impl Into<String>) -> Self {
        Error::new(ErrorKind::Unsupported, sentence)
    }

    /// The same error with a value of that field, in place of one that it had.
    #[must_use]
    pub fn with(self, field: Field, value: impl Into<Value>) -> Self {
        self.set(field, value.into())
    }

    fn set(mut self, field: Field, value: Value) -> Self {
        self.context.retain(|(known, _)| *known != field);
        self.context.push((field, value));
        self
    }

    /// The same error with the message of a parser or of the system.
    #[must_use]
    pub fn because(self, why: &dyn std::fmt::Display) -> Self {
        self.set(Field::Detail, Value::Text(why.to_string()))
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The meaning of the error for the caller.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// The context: its values by their fields.
    pub fn context(&self) -> &[(Field, Value)] {
        &self.context
    }

    /// The value of one field.
    pub fn value(&self, field: Field) -> Option<&Value> {
        let mut context = self.context.iter();
        context
            .find(|(known, _)| *known == field)
            .map(|(_, value)| value)
    }

    /// The file that it is about, if one is known.
    pub fn path(&self) -> Option<&str> {
        match self.value(Field::Path) {
            Some(Value::Text(path)) => Some(path),
            _ => None,
        }
    }

    /// The same error of the file at `path`, unless it names one already.
    #[must_use]
    pub fn at(self, path: &str) -> Self {
        match self.path() {
            Some(_) => self,
            None => self.with(Field::Path, path),
        }
    }

    /// The same error of a run whose folder its path does not name yet.
    #[must_use]
    pub fn in_run(self, run: u32) -> Self {
        let folder = crate::chain::Index::path(run);
        if folder.is_empty() {
            return self;
        }
        let path = match self.path() {
            None => folder,
            Some(path) if path.starts_with(&folder) => return self,
            Some(path) => format!("{folder}/{path}"),
        };
        self.with(Field::Path, path)
    }
}
