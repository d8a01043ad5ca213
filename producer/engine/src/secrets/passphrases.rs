//! Passphrases as they are given: in a file, in the environment, or when they are asked for. None is ever empty.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{Error, ErrorKind, Result, passphrase_of_file};
use zeroize::Zeroizing;

use crate::{
    advice::Advice,
    failure::Failure,
    observer::{Level, Observer, Question, Secret},
};

/// Fewer characters are found by trying.
const FEW: usize = 12;

/// Where a passphrase is; it is looked for when it is needed.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Here.
    Text(Secret),
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable, which is set.
    Variable(&'static str),
}

impl SecretSource {
    /// The passphrase. A variable may have been unset since.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn get(&self) -> Result<Option<Secret>> {
        match self {
            SecretSource::Text(text) => Ok(Some(text.clone())),
            SecretSource::File(path) => of_file(path).map(Some),
            SecretSource::Variable(name) => of_variable(name),
        }
    }
}

/// Where the passphrase comes from that is to seal something.
#[derive(Debug, Clone)]
pub enum New {
    /// Whoever runs the operation is asked for it.
    Asked,
    /// From there.
    From(SecretSource),
}

impl New {
    /// The passphrase. A short one is refused where it is asked for, and gets a warning elsewhere.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn take(
        &self,
        question: Question<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<Secret>, Failure> {
        let source = match self {
            New::Asked => return ask_twice(question, observer).map(Some),
            New::From(source) => source,
        };
        let given = source.get()?;
        if given.as_ref().is_some_and(|text| is_short(text)) {
            observer.tell_minor(Level::Warning, format!(
                "the passphrase has fewer than {FEW} characters, so that it can be found by trying: take a longer one, or a key pair"
            ));
        }
        Ok(given)
    }
}

/// The first line of a file.
fn of_file(path: &Path) -> Result<Secret> {
    let file = Zeroizing::new(read(path, "passphrase file")?);
    passphrase_of_file(&file, &format!("the passphrase file {}", path.display()))
}

/// That of a variable, if it is there: one that cannot be used is an error, for without its passphrase something else would be done
/// than was meant.
fn of_variable(name: &str) -> Result<Option<Secret>> {
    let usage = |what: &str| {
        Error::new(
            ErrorKind::Usage,
            format!("{name} is set, but {what}: give it the passphrase, or unset it"),
        )
    };
    match env::var_os(name).map(std::ffi::OsString::into_string) {
        None => Ok(None),
        Some(Err(_)) => Err(usage("not UTF-8 text")),
        Some(Ok(value)) if value.is_empty() => Err(usage("empty")),
        Some(Ok(value)) => Ok(Some(Secret::new(value))),
    }
}

/// Asks for a new passphrase, twice.
fn ask_twice(question: Question<'_>, observer: &dyn Observer) -> Result<Secret, Failure> {
    let ask = |question| {
        observer.ask(question)?.ok_or_else(|| {
            Failure::usage("a passphrase is to be asked for, but there is no terminal")
                .advise(Advice::NewPassphrase)
        })
    };
    let first = ask(question)?;
    if is_short(&first) {
        return Err(Failure::usage(
            "the passphrase is too short, nothing was written: take 12 characters or more",
        ));
    }
    if *ask(Question::Again)? != *first {
        return Err(Failure::usage(
            "the two passphrases differ; nothing was written",
        ));
    }
    Ok(first)
}

fn is_short(passphrase: &str) -> bool {
    passphrase.chars().count() < FEW
}

/// Reads a file that the user named.
pub fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => error.to_string(),
        };
        Error::key(format!("cannot read the {what} {}: {why}", path.display()))
    })
}
