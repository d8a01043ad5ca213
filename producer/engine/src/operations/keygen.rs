//! `keygen`: a key pair; the private half for the key holder, the public half for the machine that makes backups.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use decryptor_wasm::PrivateKey;
use minisign::KeyPair;
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    files,
    observer::{Observer, Question},
    random::SystemRandom,
    secrets::{New, Secret},
};

/// Which pair is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// File for the private key; the public key goes beside it.
    pub output: Option<PathBuf>,
    /// A minisign pair, to sign with.
    pub signing: bool,
    /// Bits of an RSA key.
    pub bits: usize,
    /// Passphrase that encrypts the private key.
    pub passphrase: Option<New>,
}

/// The pair.
#[derive(Debug, Clone)]
pub struct Pair {
    /// File of the private key.
    pub private: PathBuf,
    /// File of the public key.
    pub public: PathBuf,
    /// Name of the pair.
    pub name: PairName,
}

/// Name of a key pair.
#[derive(Debug, Clone)]
pub enum PairName {
    /// The fingerprint of a key that opens backups.
    Fingerprint(String),
    /// The line of a key that signs them.
    Signer(String),
}

/// Makes the pair.
///
/// # Errors
/// When a file is there, or cannot be written.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Pair, Failure> {
    let (usual, public) = match options.signing {
        true => ("pryv-backup-sign.key", "pub"),
        false => ("pryv-backup-key.pem", "pub.pem"),
    };
    let private = options.output.clone().unwrap_or_else(|| usual.into());
    let stem = private.file_stem().unwrap_or_default().to_string_lossy();
    let public = private.with_file_name(format!("{stem}.{public}"));
    if let Some(existing) = [&private, &public].into_iter().find(|p| p.exists()) {
        return Err(Failure::usage(format!(
            "{} exists; a key is never overwritten: give another file",
            existing.display()
        )));
    }
    let new = options.passphrase.as_ref();
    let passphrase = new.map(|new| new.take(Question::NewPrivateKeyPassphrase, observer));
    let passphrase = passphrase.transpose()?.flatten();
    if options.signing {
        return sign(private, public, passphrase.as_ref());
    }
    let key = PrivateKey::generate(options.bits, &mut SystemRandom)
        .map_err(|e| Failure::usage(e.to_string()))?;
    let pem = key.to_pkcs8_pem(passphrase.as_ref().map(|p| p.as_str()), &mut SystemRandom)?;
    write_new(&private, pem.as_bytes(), 0o600)?;
    write_new(&public, key.public_key().to_pem()?.as_bytes(), 0o644)?;
    Ok(Pair {
        private,
        public,
        name: PairName::Fingerprint(key.public_key().fingerprint()?),
    })
}

/// The same of a pair to sign with.
fn sign(private: PathBuf, public: PathBuf, passphrase: Option<&Secret>) -> Result<Pair, Failure> {
    let pair = match passphrase {
        Some(passphrase) => KeyPair::generate_encrypted_keypair(Some(passphrase.to_string())),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let made = pair.and_then(|pair| {
        let secret = pair.sk.to_box(Some("secret key that signs backups"))?;
        Ok((secret, pair.pk.to_box()?, pair.pk.to_base64()))
    });
    let (secret, key, signer) =
        made.map_err(|e| Failure::failed(format!("no key could be made: {e}")))?;
    let secret = Zeroizing::new(secret.into_string());
    write_new(&private, secret.as_bytes(), 0o600)?;
    write_new(&public, key.into_string().as_bytes(), 0o644)?;
    Ok(Pair {
        private,
        public,
        name: PairName::Signer(signer),
    })
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options
        .open(path)
        .map_err(|e| Failure::failed(format!("{}: {e}", path.display())))?;
    file.write_all(bytes)
        .and_then(|()| files::store(file))
        .map_err(|e| Failure::failed(format!("{}: {e}", path.display())))
}
