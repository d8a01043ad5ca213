//! The key with which this host signs its runs, and the secret that makes its platforms nameless to others.
//!
//! `host.key` lies in the state folder, for its owner alone, and never in a backup; `host.pub` beside it is the public half, as
//! `minisign -p` takes it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Once,
};

use base64ct::{Base64, Encoding};
use decryptor_wasm::signature::{Signer, Statement};
use hmac::{Hmac, KeyInit, Mac};
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::permissions::{Others, others};
use crate::{observer::Observer, regular, text};

/// Name of the key file.
pub const KEY: &str = "host.key";
/// Name of the public half.
pub const PUBLIC: &str = "host.pub";
/// Name of the list of other keys with which this host has signed (`--sign-key`), a line each.
pub const SIGNERS: &str = "signers";
/// Version of the key file.
const VERSION: u32 = 1;
/// No key file has more bytes.
const LONGEST: usize = 16 * 1024;
/// Once is enough.
static WARNED: Once = Once::new();
/// Says in a signature what it is; nobody reads it from there.
const COMMENT: &str = "signature of a run of pryv-backup";

/// Where the checksum is in the bytes of a minisign secret key.
const CHECKSUM: usize = 126;

/// Signs a `manifest.json` as stored; see [`HostKey::sign`].
pub type SignsElsewhere =
    Box<dyn Fn(&mut dyn Read, &Statement) -> Result<String, String> + Send + Sync>;

/// The key that signs runs.
pub struct HostKey {
    /// The bytes of a minisign secret key that no password protects any more.
    secret: Zeroizing<Vec<u8>>,
    /// What signs instead.
    elsewhere: Option<SignsElsewhere>,
    signer: Signer,
    source: Zeroizing<[u8; 32]>,
    kept: bool,
}

/// `host.key`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    v: u32,
    secret_key: String,
    source_secret: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.secret_key.zeroize();
        self.source_secret.zeroize();
    }
}

impl HostKey {
    /// The key in a state folder, if there is one.
    ///
    /// # Errors
    /// A sentence, when it cannot be read.
    pub fn find(folder: &Path, observer: &dyn Observer) -> Result<Option<Self>, String> {
        let path = folder.join(KEY);
        let at = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
        let opened = regular::follow(&path).and_then(|file| {
            let others = others(&file, folder, KEY)?;
            file.take(LONGEST as u64).read_to_end(&mut bytes)?;
            Ok(others)
        });
        match opened {
            Ok(Others::Nothing) => {}
            Ok(Others::MayRead(mode)) => WARNED.call_once(|| {
                observer.warn(&format!(
                    "{}: others on this machine may read the key with which this host signs (its mode is {mode:03o}): chmod 600 {0}",
                    path.display()
                ));
            }),
            Ok(Others::MayWrite(which)) => {
                return Err(format!(
                    "{}: everybody on this machine may write to it, so nothing proves that the key in {} is this host's: make a new key if it may have been replaced, and chmod o-w {0}",
                    which.display(),
                    path.display()
                ));
            }
            Err(e) if super::is_absent(&e) => return Ok(None),
            Err(e) => return Err(at(&e)),
        }
        let damaged = "the key of this host is damaged: put back the file from where it was saved, or remove it, and the next run makes a new key";
        let file: KeyFile = serde_json::from_slice(&bytes).map_err(|_| at(&damaged))?;
        if file.v != VERSION {
            return Err(at(
                &"made by a version of pryv-backup that is not known to this one",
            ));
        }
        let mut source = Zeroizing::new([0; 32]);
        let read = Base64::decode(file.source_secret.as_bytes(), &mut *source);
        if !read.is_ok_and(|read| read.len() == 32) {
            return Err(at(&damaged));
        }
        let key = unprotected(&file.secret_key).ok_or_else(|| at(&damaged))?;
        let signer = signer_of(&key).ok_or_else(|| at(&damaged))?;
        Ok(Some(HostKey {
            secret: Zeroizing::new(key.to_bytes()),
            signer,
            source,
            elsewhere: None,
            kept: true,
        }))
    }

    /// The key in a state folder, which must be there; it is made when there is none.
    ///
    /// # Errors
    /// A sentence, when there is one that cannot be read, or none can be kept there.
    pub fn find_or_make(folder: &Path, observer: &dyn Observer) -> Result<Self, String> {
        if let Some(known) = HostKey::find(folder, observer)? {
            if !regular::is_there(&folder.join(PUBLIC)) {
                // It is for people; the run does not need it.
                let _ = known.publish(folder);
            }
            return Ok(known);
        }
        let made = HostKey {
            kept: true,
            ..HostKey::unkept()?
        };
        made.keep(folder)
            .map_err(|e| format!("{}: {e}", folder.join(KEY).display()))?;
        // Another run may have been faster.
        HostKey::find(folder, observer)?
            .ok_or_else(|| format!("{} is gone", folder.join(KEY).display()))
    }

    /// A key that is forgotten when the run ends.
    ///
    /// # Errors
    /// A sentence, when the system gives no random bytes.
    pub fn unkept() -> Result<Self, String> {
        let mut source = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *source)
            .map_err(|e| format!("the system gave no random bytes: {e}"))?;
        let pair = KeyPair::generate_unencrypted_keypair()
            .map_err(|e| format!("no key could be made to sign with: {e}"))?;
        let signer = signer_of(&pair.sk).ok_or("no key could be made to sign with")?;
        Ok(HostKey {
            secret: Zeroizing::new(pair.sk.to_bytes()),
            signer,
            source,
            elsewhere: None,
            kept: false,
        })
    }

    /// The same host, with a key that the operator brings: the text of a minisign secret key, and its password if it has one.
    ///
    /// # Errors
    /// A sentence, when it is no such key, or the password is wrong.
    pub fn with_secret_key(self, text: &str, password: Option<&str>) -> Result<Self, String> {
        let none = "not a minisign secret key that can be used";
        let key = match password {
            Some(password) => SecretKeyBox::from(text.to_owned())
                .into_secret_key(Some(password.to_owned()))
                .map_err(|e| format!("{none} ({e})"))?,
            None => unprotected(text).ok_or_else(|| none.to_owned())?,
        };
        let signer = signer_of(&key).ok_or_else(|| none.to_owned())?;
        Ok(HostKey {
            secret: Zeroizing::new(key.to_bytes()),
            signer,
            ..self
        })
    }

    /// The same host, for which something else signs, with the key of `signer`.
    #[must_use]
    pub fn signed_elsewhere(self, signer: Signer, signs: SignsElsewhere) -> Self {
        HostKey {
            elsewhere: Some(signs),
            signer,
            ..self
        }
    }

    /// Takes note in the state folder that this host signs with this key, so that it knows its own backups again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn note(&self, folder: &Path) -> io::Result<()> {
        let place = folder.join(SIGNERS);
        let line = format!("{}\n", self.signer);
        match fs::read_to_string(&place) {
            Ok(known) if known.contains(&line) => return Ok(()),
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut list = OpenOptions::new();
        let list = list.append(true).create(true).mode(0o600);
        let mut list = list.open(place)?;
        list.write_all(line.as_bytes())?;
        list.sync_all()
    }

    /// Who signs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Whether the next run on this host has the same key.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Token for a platform, or for one user of it, in signatures: 32 hex digits that tell nothing without this host's secret.
    pub fn source(&self, domain: &str, core: &str, user_id: &str) -> String {
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&*self.source) else {
            return String::new();
        };
        mac.update(domain.as_bytes());
        mac.update(&[0]);
        mac.update(core.as_bytes());
        mac.update(&[0]);
        mac.update(user_id.as_bytes());
        let bytes = mac.finalize().into_bytes();
        text::hex(&bytes[..16])
    }

    /// The signature of a `manifest.json` as stored, which states `statement`: the content of `manifest.json.minisig`.
    ///
    /// # Errors
    /// A sentence, when the content cannot be read, or what signs elsewhere fails.
    pub fn sign(&self, mut stored: impl Read, statement: &Statement) -> Result<String, String> {
        if let Some(signs) = &self.elsewhere {
            return signs(&mut stored, statement);
        }
        let key = SecretKey::from_bytes(&self.secret).map_err(|e| e.to_string())?;
        let comment = statement.to_string();
        let signature = minisign::sign(None, &key, stored, Some(&comment), Some(COMMENT));
        Ok(signature.map_err(|e| e.to_string())?.into_string())
    }

    /// The secret key as minisign has it in a file.
    fn text(&self) -> io::Result<String> {
        let key = SecretKey::from_bytes(&self.secret).map_err(io::Error::other)?;
        let text = key.to_box(Some("key of a host of pryv-backup"));
        Ok(text.map_err(io::Error::other)?.into_string())
    }

    /// Writes both files; whoever is first wins.
    fn keep(&self, folder: &Path) -> io::Result<()> {
        let file = KeyFile {
            v: VERSION,
            secret_key: self.text()?,
            source_secret: Base64::encode_string(&*self.source),
        };
        let json = Zeroizing::new(serde_json::to_vec_pretty(&file)?);
        let aside = tempfile::Builder::new()
            .prefix(".host-")
            .tempfile_in(folder)?;
        aside.as_file().write_all(&json)?;
        aside.as_file().sync_all()?;
        match aside.persist_noclobber(folder.join(KEY)) {
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            kept => kept.map_err(|e| e.error)?,
        };
        self.publish(folder)?;
        fs::File::open(folder)?.sync_all()
    }

    /// Writes the public half.
    fn publish(&self, folder: &Path) -> io::Result<()> {
        let mut public = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(folder.join(PUBLIC))?;
        writeln!(
            public,
            "untrusted comment: public key of a host of pryv-backup\n{}",
            self.signer
        )?;
        public.sync_all()
    }
}

/// A secret key in its text form that no password protects.
fn unprotected(text: &str) -> Option<SecretKey> {
    if let Ok(key) = SecretKeyBox::from(text.to_owned()).into_unencrypted_secret_key() {
        return Some(key);
    }
    // minisign itself writes zeros for the checksum of such a key.
    let line = text.lines().nth(1).unwrap_or_default().trim();
    let bytes = Zeroizing::new(Base64::decode_vec(line).ok()?);
    let open = bytes.get(2..4) == Some(&[0; 2]) && bytes.get(CHECKSUM..) == Some(&[0; 32]);
    open.then(|| SecretKey::from_bytes(&bytes).ok()).flatten()
}

/// The public half of a secret key.
fn signer_of(key: &SecretKey) -> Option<Signer> {
    Signer::parse(&PublicKey::from_secret_key(key).ok()?.to_base64()).ok()
}

#[cfg(test)]
mod tests {
    use decryptor_wasm::signature::{Tried, try_signature};

    use super::*;
    use crate::observer::Silent;

    #[test]
    fn a_host_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        assert!(HostKey::find(folder.path(), &Silent).unwrap().is_none());
        let made = HostKey::find_or_make(folder.path(), &Silent).unwrap();
        let again = HostKey::find_or_make(folder.path(), &Silent).unwrap();
        assert_eq!(made.signer(), again.signer());
        assert_eq!(made.source("a", "b", ""), again.source("a", "b", ""));
        assert_ne!(made.source("a", "b", ""), made.source("ab", "", ""));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(folder.path().join(KEY)).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let public = fs::read_to_string(folder.path().join(PUBLIC)).unwrap();
        assert_eq!(Signer::parse(&public).unwrap(), *made.signer());
        fs::write(folder.path().join(KEY), "{}").unwrap();
        assert!(HostKey::find(folder.path(), &Silent).is_err());
    }

    fn statement(key: &HostKey) -> Statement {
        Statement {
            id: "a".repeat(64),
            base: "a".repeat(64),
            parent: None,
            run: 1,
            kind: decryptor_wasm::BackupType::Full,
            created: 1,
            source: key.source("d", "c", ""),
            core: None,
            losses: 0,
            files: "b".repeat(64),
        }
    }

    #[test]
    fn a_key_that_is_brought_signs() {
        let pair = KeyPair::generate_encrypted_keypair(Some("p".to_owned())).unwrap();
        let protected = pair.sk.to_box(None).unwrap().into_string();
        // As minisign -G -W makes it, without a checksum.
        let open = KeyPair::generate_unencrypted_keypair().unwrap();
        let mut bytes = open.sk.to_bytes();
        bytes[CHECKSUM..].fill(0);
        let open_text = format!("untrusted comment: \n{}\n", Base64::encode_string(&bytes));
        for (text, password, public) in
            [(protected, Some("p"), pair.pk), (open_text, None, open.pk)]
        {
            let brought = |password| HostKey::unkept().unwrap().with_secret_key(&text, password);
            let key = brought(password).unwrap();
            assert_eq!(key.signer().as_str(), public.to_base64());
            let statement = statement(&key);
            let signature = key.sign(&b"manifest"[..], &statement).unwrap();
            let tried = try_signature(key.signer(), b"manifest", signature.as_bytes());
            assert_eq!(tried, Tried::Holds(statement));
            assert!(brought(Some("other")).is_err());
        }
        let own = HostKey::unkept().unwrap();
        assert!(own.with_secret_key("none", None).is_err());
    }

    #[test]
    fn what_a_host_signs_holds() {
        let key = HostKey::unkept().unwrap();
        let statement = statement(&key);
        let signature = key.sign(&b"manifest"[..], &statement).unwrap();
        let tried = |content: &[u8]| try_signature(key.signer(), content, signature.as_bytes());
        assert_eq!(tried(b"manifest"), Tried::Holds(statement));
        assert_eq!(tried(b"Manifest"), Tried::Broken);
        let other = HostKey::unkept().unwrap();
        let tried = try_signature(other.signer(), b"manifest", signature.as_bytes());
        assert_eq!(tried, Tried::OtherSigner);
    }
}
