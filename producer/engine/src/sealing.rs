//! How a new archive is locked.

use std::path::{Path, PathBuf};

use decryptor_wasm::{Error, Kdf, PublicKey};

use crate::{
    archive::Sealing,
    failure::Failure,
    observer::{Level, Observer, Question},
    secrets::New,
};

/// The lock that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Files with the public keys of those who can open it.
    pub recipients: Vec<PathBuf>,
    /// Its passphrase, where there are no recipients.
    pub passphrase: Option<New>,
    /// How a passphrase becomes a key.
    pub kdf: Kdf,
}

impl Options {
    /// The lock; none where none is asked for.
    ///
    /// # Errors
    /// When a key or passphrase cannot be read, or cannot be used.
    pub fn sealing(
        &self,
        question: Question<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<Sealing>, Failure> {
        if !self.recipients.is_empty() {
            let files = self.recipients.iter();
            let keys = files.map(|path| public_key(path, observer));
            return Ok(Some(Sealing::Recipients(keys.collect::<Result<_, _>>()?)));
        }
        let new = self.passphrase.as_ref();
        let given = new.map(|new| new.take(question, observer)).transpose()?;
        Ok(given.flatten().map(|passphrase| Sealing::Passphrase {
            passphrase,
            kdf: self.kdf,
        }))
    }
}

/// A recipient's public key.
///
/// # Errors
/// When the file cannot be read, or holds no key.
pub fn public_key(path: &Path, observer: &dyn Observer) -> Result<PublicKey, Failure> {
    let failed = |e: Error| Failure::from(e.at(&path.display().to_string()));
    let file =
        std::fs::read(path).map_err(|e| Failure::failed(format!("{}: {e}", path.display())))?;
    let (key, certified) = PublicKey::found(&file).map_err(failed)?;
    if certified {
        observer.tell_minor(
            Level::Note,
            format!(
                "{} is a certificate; the public key in it was taken, whose fingerprint is {}",
                path.display(),
                key.fingerprint()?
            ),
        );
    }
    Ok(key)
}
