//! What the holder of the key gives: on the command line, in the environment, in a file, or when asked.

use std::{
    cell::{Cell, OnceCell},
    env,
    path::Path,
};

use decryptor_wasm::{
    Code, DataKey, Envelope, Error, ErrorKind, Field, Mode, PrivateKey, Result, Spelling,
    private_key_needs_passphrase,
};
use zeroize::Zeroizing;

use super::passphrases::{self, Secret};
use crate::{
    archive::SystemRandom,
    cli::{KeyArgs, PrivateKeyArgs},
    note,
};

/// The variable with the passphrase of a backup.
pub const VARIABLE: &str = "PRYV_BACKUP_PASSPHRASE";
const KEY_VARIABLE: &str = "PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE";

/// The secrets of one call of the command: what has to be asked for is asked for once, however many runs a chain has. Each run is
/// tried with each of them, since who can open it may have changed on the way.
pub struct Secrets<'a> {
    args: &'a KeyArgs,
    given: OnceCell<Vec<Secret>>,
    asked: OnceCell<Option<Secret>>,
    /// Whether a passphrase's spelling was spoken of.
    told: Cell<bool>,
    private: PrivateKeys<'a>,
}

/// What opened an archive.
pub enum Opener<'s> {
    /// A passphrase.
    Passphrase(&'s str),
    /// A private key.
    Private(&'s PrivateKey),
}

impl<'a> Secrets<'a> {
    /// As the arguments give them; nothing is read yet.
    pub fn new(args: &'a KeyArgs) -> Self {
        Secrets {
            args,
            given: OnceCell::new(),
            asked: OnceCell::new(),
            told: Cell::new(false),
            private: PrivateKeys::new(&args.private),
        }
    }

    /// Lets go of a passphrase that was asked for: another archive may have another.
    pub fn forget_asked(&mut self) {
        self.asked.take();
    }

    /// The data key of the archive behind `envelope`.
    pub fn unlock(&self, envelope: &Envelope) -> Result<DataKey> {
        self.open(envelope).map(|(key, _)| key)
    }

    /// The same, and what it was had with.
    pub fn open(&self, envelope: &Envelope) -> Result<(DataKey, Opener<'_>)> {
        if envelope.mode() == Mode::Hybrid {
            if self.private.is_empty() && passphrase_given(self.args) {
                return Err(Code::OpensWithPrivateKey.into());
            }
            let (key, private) = self.private.unlock(envelope)?;
            return Ok((key, Opener::Private(private)));
        }
        let passphrases = self.passphrases()?;
        let mut tried = passphrases.into_iter().map(|passphrase| {
            let (key, spelling) = envelope.unlock_spelled(passphrase)?;
            if spelling != Spelling::AsGiven && !self.told.replace(true) {
                tell(spelling);
            }
            Ok((key, Opener::Passphrase(passphrase)))
        });
        first_that_opens(&mut tried, "passphrases")?.ok_or_else(|| {
            Error::of(match self.private.is_empty() {
                false => Code::OpensWithPassphrase,
                true => Code::PassphraseNeeded,
            })
        })
    }

    /// The private keys.
    pub fn private(&self) -> &PrivateKeys<'a> {
        &self.private
    }

    /// Those that are given, or else the one that is asked for.
    fn passphrases(&self) -> Result<Vec<&str>> {
        let given = once(&self.given, || given_passphrases(self.args))?;
        let asked = match given.is_empty() {
            true => once(&self.asked, || {
                passphrases::ask("Passphrase of the backup: ")
            })?
            .as_ref(),
            false => None,
        };
        Ok(given.iter().chain(asked).map(|one| one.as_str()).collect())
    }
}

/// What is there, or is had now.
fn once<T>(place: &OnceCell<T>, get: impl FnOnce() -> Result<T>) -> Result<&T> {
    match place.get() {
        Some(known) => Ok(known),
        None => {
            let got = get()?;
            Ok(place.get_or_init(|| got))
        }
    }
}

fn tell(spelling: Spelling) {
    if let Some(what) = spelling.note() {
        note!("note: {what}");
    }
}

/// The private keys of one call of the command, each read, and its passphrase asked for, when it is needed first.
pub struct PrivateKeys<'a> {
    args: &'a PrivateKeyArgs,
    read: Vec<OnceCell<PrivateKey>>,
}

impl<'a> PrivateKeys<'a> {
    /// As the arguments give them; nothing is read yet.
    pub fn new(args: &'a PrivateKeyArgs) -> Self {
        PrivateKeys {
            args,
            read: args.private_key.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Result<&PrivateKey>> {
        let places = self.args.private_key.iter().zip(&self.read);
        places.map(|(path, place)| once(place, || private_key(path, self.args)))
    }

    /// The data key of an archive to recipients, and which of the keys it was had with.
    pub fn unlock(&self, envelope: &Envelope) -> Result<(DataKey, &PrivateKey)> {
        let mut tried = self.all().map(|private| {
            let private = private?;
            let key = envelope.unlock_with_private_key(private, &mut SystemRandom)?;
            Ok((key, private))
        });
        first_that_opens(&mut tried, "private keys")?.ok_or_else(|| Code::PrivateKeyNeeded.into())
    }
}

/// The first that opens; none where there is nothing to try.
fn first_that_opens<T>(
    tried: &mut dyn Iterator<Item = Result<T>>,
    what: &str,
) -> Result<Option<T>> {
    let (mut count, mut last) = (0_u64, None);
    for one in tried {
        match one {
            Ok(opened) => return Ok(Some(opened)),
            Err(error) if error.kind() != ErrorKind::Key => return Err(error),
            Err(error) => last = Some(error),
        }
        count += 1;
    }
    match last {
        Some(error) if count > 1 => Err(Error::of(Code::NoneOpens)
            .with(Field::Number, count)
            .with(Field::Found, what)
            .because(&error)),
        Some(error) => Err(error),
        None => Ok(None),
    }
}

/// The private key in a file.
fn private_key(path: &Path, args: &PrivateKeyArgs) -> Result<PrivateKey> {
    let file = Zeroizing::new(passphrases::read(path, "private key")?);
    if !private_key_needs_passphrase(&file)? {
        return PrivateKey::parse(&file, None);
    }
    let given = args.private_key_passphrase.iter().cloned().map(Secret::new);
    let mut found: Vec<Secret> = given.collect();
    if found.is_empty() {
        found.extend(passphrases::of_variable(KEY_VARIABLE)?);
    }
    if found.is_empty() {
        let question = match args.private_key.as_slice() {
            [_] => "Passphrase of the private key: ".to_owned(),
            _ => format!("Passphrase of the private key {}: ", path.display()),
        };
        found.extend(passphrases::ask(&question)?);
    }
    let mut tried = found
        .iter()
        .map(|passphrase| PrivateKey::parse(&file, Some(passphrase)));
    let key = first_that_opens(&mut tried, "passphrases of private keys")?
        .ok_or_else(|| Error::of(Code::PrivateKeyLocked))?;
    tell(key.spelling());
    Ok(key)
}

/// Whether something is there to open a backup with, without asking.
pub fn given(args: &KeyArgs) -> bool {
    !args.private.private_key.is_empty() || passphrase_given(args)
}

fn passphrase_given(args: &KeyArgs) -> bool {
    !args.passphrase.is_empty()
        || !args.passphrase_file.is_empty()
        || env::var_os(VARIABLE).is_some()
}

/// The passphrases that are given; the environment's counts where there is no other.
fn given_passphrases(args: &KeyArgs) -> Result<Vec<Secret>> {
    let files = args.passphrase_file.iter();
    let mut found: Vec<Secret> = files
        .map(|path| passphrases::of_file(path))
        .collect::<Result<_>>()?;
    found.extend(args.passphrase.iter().cloned().map(Secret::new));
    if found.is_empty() {
        found.extend(passphrases::of_variable(VARIABLE)?);
    }
    Ok(found)
}
