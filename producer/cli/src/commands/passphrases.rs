//! Passphrases as they are given: in a file, in the environment, or when they are asked for. None is ever empty; those on the
//! command line are held to that by [`crate::cli`].

use std::{
    env,
    io::{self, IsTerminal},
    path::Path,
};

use decryptor_wasm::{Error, ErrorKind, Result, passphrase_of_file};
use zeroize::Zeroizing;

use crate::note;

/// A passphrase in memory, which is wiped when it is let go.
pub type Secret = Zeroizing<String>;

/// Fewer characters are found by trying.
const FEW: usize = 12;

/// What is to seal something: the value of a flag that may be without one, or the first line of a file.
#[derive(Clone, Copy)]
pub struct New<'a> {
    /// The flag, if it is given, and its value, if that is.
    pub flag: Option<Option<&'a str>>,
    /// The file.
    pub file: Option<&'a Path>,
    /// The variable that counts where there is neither.
    pub variable: Option<&'a str>,
    /// What is asked where the flag has no value.
    pub question: &'a str,
    /// Whether nothing is to be said of a short one.
    pub quiet: bool,
}

impl New<'_> {
    /// The passphrase, if one is given. A short one is refused where it is asked for, and gets a warning elsewhere.
    pub fn take(self) -> Result<Option<Secret>> {
        let given = match (self.flag, self.file) {
            (Some(None), _) => return ask_twice(self.question).map(Some),
            (Some(Some(text)), _) => Some(Secret::new(text.to_owned())),
            (None, Some(file)) => Some(of_file(file)?),
            (None, None) => self.variable.map(of_variable).transpose()?.flatten(),
        };
        if !self.quiet && given.as_ref().is_some_and(|text| is_short(text)) {
            note!(
                "warning: the passphrase has fewer than {FEW} characters, so that it can be found by trying: take a longer one, or a key pair"
            );
        }
        Ok(given)
    }
}

/// The first line of a file.
pub fn of_file(path: &Path) -> Result<Secret> {
    let file = Zeroizing::new(read(path, "passphrase file")?);
    passphrase_of_file(&file, &format!("the passphrase file {}", path.display()))
}

/// That of a variable, if it is there: one that cannot be used is an error, for without its passphrase something else would be done
/// than was meant.
pub fn of_variable(name: &str) -> Result<Option<Secret>> {
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

/// Asks on the terminal without showing what is typed; none when nobody can be asked.
pub fn ask(question: &str) -> Result<Option<Secret>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    match rpassword::prompt_password(question) {
        Ok(answer) if !answer.is_empty() => Ok(Some(Secret::new(answer))),
        _ => Err(Error::key("no passphrase was given")),
    }
}

/// Asks for a new passphrase on the terminal, without showing it.
pub fn ask_twice(question: &str) -> Result<Secret> {
    let usage = |what: &str| Error::new(ErrorKind::Usage, what);
    if !io::stdin().is_terminal() {
        return Err(usage(
            "a passphrase is to be asked for, but there is no terminal: use PRYV_BACKUP_PASSPHRASE or --passphrase-file",
        ));
    }
    let ask = |question: &str| {
        let answer = rpassword::prompt_password(question).map(Secret::new);
        answer.map_err(|e| {
            Error::new(
                ErrorKind::Failed,
                format!("no passphrase could be read: {e}"),
            )
        })
    };
    let first = ask(question)?;
    if is_short(&first) {
        return Err(usage(
            "the passphrase is too short, nothing was written: take 12 characters or more",
        ));
    }
    if *ask("Again: ")? != *first {
        return Err(usage("the two passphrases differ; nothing was written"));
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
