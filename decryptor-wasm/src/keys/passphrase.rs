//! Passphrases as they are kept in files and as they are spelled.

use zeroize::Zeroizing;

use super::text::text;
use crate::{
    Code, Error, ErrorKind, Result,
    unicode::{Form, normalized},
};

/// The passphrase in the file called `name`: its first line, without line end and byte order mark.
pub fn passphrase_of_file(file: &[u8], name: &str) -> Result<Zeroizing<String>> {
    let wrong = |code| Error::of(code).at(name);
    let text = text(file).ok_or_else(|| wrong(Code::PassphraseNotText))?;
    match text.split(['\r', '\n']).next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(wrong(Code::PassphraseEmpty)),
    }
}

/// The Unicode form of a passphrase: keyboards, editors and file systems use different ones, which look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As it was given.
    AsGiven,
    /// Composed: Unicode's form NFC.
    Composed,
    /// Decomposed: Unicode's form NFD.
    Decomposed,
}

impl Spelling {
    /// Unicode's name for the form; none where the passphrase is as it was given.
    pub fn form(self) -> Option<&'static str> {
        match self {
            Spelling::AsGiven => None,
            Spelling::Composed => Some("NFC"),
            Spelling::Decomposed => Some("NFD"),
        }
    }

    /// A note for the reader on the spelling in which the passphrase opened; none where it is the one that was given.
    pub fn note(self) -> Option<String> {
        let form = self.form()?;
        Some(format!(
            "the passphrase opens in the Unicode form {form}; it was given with other characters, which look the same"
        ))
    }
}

/// Opens with the passphrase; where it is wrong and not plain ASCII, also with its other spellings.
pub(crate) fn spelled<T>(
    passphrase: &str,
    open: impl Fn(&str) -> Result<T>,
) -> Result<(T, Spelling)> {
    let error = match open(passphrase) {
        Ok(opened) => return Ok((opened, Spelling::AsGiven)),
        Err(error) => error,
    };
    if error.kind() == ErrorKind::Key && !passphrase.is_ascii() {
        for spelling in [Spelling::Composed, Spelling::Decomposed] {
            let other = other(passphrase, spelling);
            if *other == passphrase {
                continue;
            }
            if let Ok(opened) = open(&other) {
                return Ok((opened, spelling));
            }
        }
    }
    Err(error)
}

fn other(passphrase: &str, spelling: Spelling) -> Zeroizing<String> {
    Zeroizing::new(normalized(
        passphrase,
        match spelling {
            Spelling::Decomposed => Form::Decomposed,
            _ => Form::Composed,
        },
    ))
}
