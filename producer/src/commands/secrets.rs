//! What the holder of the key gives: on the command line, in the environment, in a file, or when asked.

use std::{
    cell::OnceCell,
    env,
    io::{self, IsTerminal},
    path::Path,
};

use decryptor_wasm::{
    DataKey, Envelope, Error, Mode, PrivateKey, Result, private_key_needs_passphrase,
};
use zeroize::Zeroizing;

use crate::{archive::SystemRandom, cli::KeyArgs, commands::first_line};

type Secret = Zeroizing<String>;

/// The secrets of one call of the command: what has to be asked for is asked for once, however many runs a chain has.
pub struct Secrets<'a> {
    args: &'a KeyArgs,
    asked: OnceCell<Secret>,
    private: OnceCell<PrivateKey>,
}

impl<'a> Secrets<'a> {
    /// As the arguments give them; nothing is read yet.
    pub fn new(args: &'a KeyArgs) -> Self {
        Secrets {
            args,
            asked: OnceCell::new(),
            private: OnceCell::new(),
        }
    }

    /// The data key of the archive behind `envelope`.
    pub fn unlock(&self, envelope: &Envelope) -> Result<DataKey> {
        let given = passphrase(self.args)?;
        if envelope.mode() != Mode::Hybrid {
            let passphrase = match given {
                Some(passphrase) => Some(passphrase),
                None => self.ask_once()?,
            };
            if let Some(passphrase) = passphrase {
                return envelope.unlock_with_passphrase(&passphrase);
            }
            return Err(Error::key(match self.args.private_key {
                Some(_) => {
                    "this backup opens with a passphrase, not with a private key: give --passphrase-file or PRYV_BACKUP_PASSPHRASE"
                }
                None => {
                    "a passphrase is needed: give --passphrase-file FILE or set PRYV_BACKUP_PASSPHRASE"
                }
            }));
        }
        let Some(path) = &self.args.private_key else {
            return Err(Error::key(match given {
                Some(_) => {
                    "this backup opens with a private key, not with a passphrase: give --private-key FILE"
                }
                None => "a private key is needed: give --private-key FILE",
            }));
        };
        let private = match self.private.get() {
            Some(private) => private,
            None => {
                let private = private_key(path, self.args)?;
                self.private.get_or_init(|| private)
            }
        };
        envelope.unlock_with_private_key(private, &mut SystemRandom)
    }

    fn ask_once(&self) -> Result<Option<Secret>> {
        if let Some(known) = self.asked.get() {
            return Ok(Some(known.clone()));
        }
        let answer = ask("Passphrase of the backup: ")?;
        if let Some(answer) = &answer {
            self.asked.get_or_init(|| answer.clone());
        }
        Ok(answer)
    }
}

/// The private key in a file.
pub fn private_key(path: &Path, args: &KeyArgs) -> Result<PrivateKey> {
    let file =
        Zeroizing::new(std::fs::read(path).map_err(|e| unreadable("private key", path, &e))?);
    let mut passphrase = args
        .private_key_passphrase
        .clone()
        .map(Secret::new)
        .or_else(|| variable("PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE"));
    if passphrase.is_none() && private_key_needs_passphrase(&file) {
        passphrase = ask("Passphrase of the private key: ")?;
        if passphrase.is_none() {
            return Err(Error::key(
                "the private key is protected by a passphrase: give --private-key-passphrase or set PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE",
            ));
        }
    }
    PrivateKey::parse(&file, passphrase.as_ref().map(|p| p.as_str()))
}

/// Whether something is there to open a backup with, without asking.
pub fn given(args: &KeyArgs) -> bool {
    args.private_key.is_some()
        || args.passphrase.is_some()
        || args.passphrase_file.is_some()
        || variable("PRYV_BACKUP_PASSPHRASE").is_some()
}

fn passphrase(args: &KeyArgs) -> Result<Option<Secret>> {
    if let Some(path) = &args.passphrase_file {
        let bytes = Zeroizing::new(
            std::fs::read(path).map_err(|e| unreadable("passphrase file", path, &e))?,
        );
        return first_line(&bytes).map(Some).ok_or_else(|| {
            Error::key(format!(
                "the passphrase file {} is empty or not UTF-8 text",
                path.display()
            ))
        });
    }
    Ok(args
        .passphrase
        .clone()
        .map(Secret::new)
        .or_else(|| variable("PRYV_BACKUP_PASSPHRASE")))
}

fn variable(name: &str) -> Option<Secret> {
    env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .map(Secret::new)
}

/// Asks on the terminal without showing what is typed; none when nobody can be asked.
fn ask(question: &str) -> Result<Option<Secret>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    match rpassword::prompt_password(question) {
        Ok(answer) => Ok(Some(Secret::new(answer))),
        Err(_) => Err(Error::key("no passphrase was given")),
    }
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    };
    Error::key(format!("cannot read the {what} {}: {why}", path.display()))
}
