//! A lock for those who can open what is copied.

use std::collections::BTreeMap;

use decryptor_wasm::{Envelope, Kdf, Mode, PublicKey};
use zeroize::Zeroizing;

use crate::{
    advice::Advice,
    archive::Sealing,
    failure::Failure,
    secrets::{Opener, Secrets},
};

/// For the same people, under a data key of its own: who could once open the archive has not got that one. An envelope holds no public
/// keys, so that of each recipient must come with a private key that is given.
pub fn sealing(
    envelope: &Envelope,
    opener: Opener<'_>,
    secrets: &Secrets<'_>,
) -> Result<Sealing, Failure> {
    let opened_with = match opener {
        Opener::Private(private) => private.public_key(),
        Opener::Passphrase(passphrase) => {
            let kdf = match envelope.mode() {
                Mode::SymmetricPbkdf2 => Kdf::Pbkdf2,
                _ => Kdf::Scrypt,
            };
            let passphrase = Zeroizing::new(passphrase.to_owned());
            return Ok(Sealing::Passphrase { passphrase, kdf });
        }
    };
    if envelope.recipients().is_empty() {
        // Pryv's own tool encrypts to one.
        return Ok(Sealing::Recipients(vec![opened_with]));
    }
    let mut own: BTreeMap<String, PublicKey> = BTreeMap::new();
    for private in secrets.private().all() {
        let public = private?.public_key();
        own.insert(public.fingerprint()?, public);
    }
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for recipient in envelope.recipients() {
        match own.remove(&recipient.fingerprint) {
            Some(public) => found.push(public),
            None => unknown.push(recipient.fingerprint.as_str()),
        }
    }
    if unknown.is_empty() {
        return Ok(Sealing::Recipients(found));
    }
    Err(Failure::usage(format!(
        "the copy gets a data key of its own, and a backup does not hold the public keys of those who can open it (missing: {})",
        unknown.join(", ")
    ))
    .advise(Advice::RecipientsOfCopy))
}
