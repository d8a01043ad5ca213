//! Secrets that the holder of the key gives: with the options, in the environment, in a file, or when asked.

mod passphrases;

use std::{
    cell::{Cell, OnceCell},
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    Code, DataKey, Envelope, Error, ErrorKind, Field, Mode, PrivateKey, Result, Spelling,
    private_key_needs_passphrase,
};
use zeroize::Zeroizing;

pub use crate::observer::Secret;
pub use passphrases::{New, SecretSource, read};

use crate::{
    observer::{Level, Observer, Question},
    random::SystemRandom,
};

/// Private keys that open archives to recipients.
#[derive(Debug, Clone, Default)]
pub struct PrivateKeyFiles {
    /// Files with private keys; each run of a chain is tried with each.
    pub files: Vec<PathBuf>,
    /// Their passphrases; none: they are asked for.
    pub passphrases: Vec<SecretSource>,
}

/// Secrets that open encrypted archives.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Private keys.
    pub private: PrivateKeyFiles,
    /// Passphrases of backups; none: one is asked for.
    pub passphrases: Vec<SecretSource>,
}

impl Keys {
    /// Whether something is there to open a backup with, without asking.
    #[must_use]
    pub fn given(&self) -> bool {
        !self.private.files.is_empty() || !self.passphrases.is_empty()
    }
}

/// The secrets of one operation: what has to be asked for is asked for once, however many runs a chain has. Each run is
/// tried with each of them, since who can open it may have changed on the way.
pub struct Secrets<'a> {
    keys: &'a Keys,
    observer: &'a dyn Observer,
    given: OnceCell<Vec<Secret>>,
    asked: OnceCell<Option<Secret>>,
    /// Whether a passphrase's spelling was spoken of.
    told: Cell<bool>,
    private: PrivateKeys<'a>,
}

/// The secret that opened an archive.
pub enum Opener<'s> {
    /// A passphrase.
    Passphrase(&'s str),
    /// A private key.
    Private(&'s PrivateKey),
}

impl<'a> Secrets<'a> {
    /// As the options give them; nothing is read yet.
    pub fn new(keys: &'a Keys, observer: &'a dyn Observer) -> Self {
        Secrets {
            keys,
            observer,
            given: OnceCell::new(),
            asked: OnceCell::new(),
            told: Cell::new(false),
            private: PrivateKeys::new(&keys.private, observer),
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
            if self.private.is_empty() && !self.keys.passphrases.is_empty() {
                return Err(Code::OpensWithPrivateKey.into());
            }
            let (key, private) = self.private.unlock(envelope)?;
            return Ok((key, Opener::Private(private)));
        }
        let passphrases = self.passphrases()?;
        let mut tried = passphrases.into_iter().map(|passphrase| {
            let (key, spelling) = envelope.unlock_spelled(passphrase)?;
            if spelling != Spelling::AsGiven && !self.told.replace(true) {
                tell(spelling, self.observer);
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
        let given = once(&self.given, || all(&self.keys.passphrases))?;
        let asked = match given.is_empty() {
            true => once(&self.asked, || {
                self.observer.ask(Question::BackupPassphrase)
            })?
            .as_ref(),
            false => None,
        };
        Ok(given.iter().chain(asked).map(|one| one.as_str()).collect())
    }
}

/// The value that is there, or is made now.
fn once<T>(place: &OnceCell<T>, get: impl FnOnce() -> Result<T>) -> Result<&T> {
    match place.get() {
        Some(known) => Ok(known),
        None => {
            let got = get()?;
            Ok(place.get_or_init(|| got))
        }
    }
}

fn tell(spelling: Spelling, observer: &dyn Observer) {
    if let Some(what) = spelling.note() {
        observer.tell(Level::Note, &what);
    }
}

/// The private keys of one operation, each read, and its passphrase asked for, when it is needed first.
pub struct PrivateKeys<'a> {
    keys: &'a PrivateKeyFiles,
    observer: &'a dyn Observer,
    read: Vec<OnceCell<PrivateKey>>,
}

impl<'a> PrivateKeys<'a> {
    /// As the options give them; nothing is read yet.
    pub fn new(keys: &'a PrivateKeyFiles, observer: &'a dyn Observer) -> Self {
        PrivateKeys {
            keys,
            observer,
            read: keys.files.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Result<&PrivateKey>> {
        let places = self.keys.files.iter().zip(&self.read);
        places.map(|(path, place)| once(place, || private_key(path, self.keys, self.observer)))
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
fn private_key(path: &Path, keys: &PrivateKeyFiles, observer: &dyn Observer) -> Result<PrivateKey> {
    let file = Zeroizing::new(read(path, "private key")?);
    if !private_key_needs_passphrase(&file)? {
        return PrivateKey::parse(&file, None);
    }
    let mut found = all(&keys.passphrases)?;
    if found.is_empty() {
        let several = keys.files.len() > 1;
        found.extend(observer.ask(Question::PrivateKeyPassphrase(several.then_some(path)))?);
    }
    let mut tried = found
        .iter()
        .map(|passphrase| PrivateKey::parse(&file, Some(passphrase)));
    let key = first_that_opens(&mut tried, "passphrases of private keys")?
        .ok_or_else(|| Error::of(Code::PrivateKeyLocked))?;
    tell(key.spelling(), observer);
    Ok(key)
}

/// The passphrases that are given.
fn all(sources: &[SecretSource]) -> Result<Vec<Secret>> {
    let mut found = Vec::new();
    for source in sources {
        found.extend(source.get()?);
    }
    Ok(found)
}
