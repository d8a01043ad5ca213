//! Who signs a new backup: this host, a key that the operator brings, or a key that nobody keeps.

mod command;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64ct::{Base64, Encoding};
use decryptor_wasm::signature::{Signer, Statement};
use zeroize::Zeroizing;

use crate::{
    advice::{Advice, Sentence},
    archive::Signing,
    failure::Failure,
    observer::{Level, Observer, Question},
    secrets::{self, Secret, SecretSource},
    state::{self, host::HostKey},
    storage::Location,
};

/// With what a new backup is signed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A minisign secret key; none: that which this host keeps.
    pub key: Option<PathBuf>,
    /// Its password; none: it is asked for if it needs one.
    pub password: Option<SecretSource>,
    /// A line for a shell that signs instead, and whose key it signs with.
    pub command: Option<(String, Signer)>,
}

/// The key that signs on this host, and the folder of its state.
pub struct Home {
    /// The key.
    pub key: Arc<HostKey>,
    /// Its state folder; otherwise why it has none.
    pub folder: Result<PathBuf, String>,
}

impl Home {
    /// The key of this host, which is made when it has none, or the one that is given.
    ///
    /// # Errors
    /// When the state folder lies in `output`, or a key cannot be read.
    pub fn open(
        state_dir: Option<&Path>,
        sign: &Options,
        output: &Location,
        observer: &dyn Observer,
    ) -> Result<Self, Failure> {
        let folder = state::folder(state_dir);
        if let Ok(folder) = &folder {
            refuse_inside(folder, output)?;
        }
        let (key, folder) = match folder.and_then(|folder| kept(folder, observer)) {
            Ok((key, folder)) => (key.map_err(Failure::failed)?, Ok(folder)),
            Err(why) => (HostKey::unkept().map_err(Failure::failed)?, Err(why)),
        };
        Home {
            key: Arc::new(key),
            folder,
        }
        .signing_with(sign, observer)
    }

    /// The same for a copy: no key is made where there is none.
    ///
    /// # Errors
    /// The same.
    pub fn find(
        state_dir: Option<&Path>,
        sign: &Options,
        observer: &dyn Observer,
    ) -> Result<Self, Failure> {
        let folder = state::folder(state_dir);
        let known = match &folder {
            Ok(folder) => HostKey::find(folder, observer).map_err(Failure::failed)?,
            Err(_) => None,
        };
        let folder = match &known {
            Some(_) => folder,
            None => Err("this host has no key of its own".to_owned()),
        };
        let key = known.map_or_else(HostKey::unkept, Ok);
        let key = Arc::new(key.map_err(Failure::failed)?);
        Home { key, folder }.signing_with(sign, observer)
    }

    /// For a run that writes nothing.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn none() -> Result<Self, Failure> {
        Ok(Home {
            key: Arc::new(HostKey::unkept().map_err(Failure::failed)?),
            folder: Err("nothing is written".to_owned()),
        })
    }

    /// Key, source and core with which an archive is signed.
    pub fn signing(&self, source: String, core: Option<String>) -> Signing {
        Signing {
            key: self.key.clone(),
            source,
            core,
        }
    }

    /// Says that the key is not kept.
    pub fn warn(&self, sign: &Options, observer: &dyn Observer) {
        let Err(why) = &self.folder else { return };
        let what = match sign.key.is_some() || sign.command.is_some() {
            true => {
                "this backup names its platform by a number that no other backup has, so that prune cannot tell that they belong together"
            }
            false => {
                "this backup is signed by a key that is not kept, so that it can neither be continued nor told from one of somebody else"
            }
        };
        let sentence = Sentence::new(format!("{why}: {what}"), Advice::StateDir);
        observer.tell_minor(Level::Warning, sentence);
    }

    /// With the key or the command that the operator brings, if there is one.
    fn signing_with(self, sign: &Options, observer: &dyn Observer) -> Result<Self, Failure> {
        let Home { key, folder } = self;
        let key = Arc::try_unwrap(key)
            .map_err(|_| Failure::failed("the key that signs is in use".to_owned()))?;
        let key = match (&sign.command, &sign.key) {
            (Some((line, signer)), _) => {
                let (line, known) = (line.clone(), signer.clone());
                let signs = move |stored: &mut dyn Read, statement: &Statement| {
                    command::sign(&line, &known, stored, statement)
                };
                key.signed_elsewhere(signer.clone(), Box::new(signs))
            }
            (None, Some(path)) => brought(key, path, sign, observer)?,
            (None, None) => {
                let key = Arc::new(key);
                return Ok(Home { key, folder });
            }
        };
        if let Ok(folder) = &folder {
            let noted = key.note(folder);
            noted.map_err(|e| Failure::failed(format!("{}: {e}", folder.display())))?;
        }
        let key = Arc::new(key);
        Ok(Home { key, folder })
    }
}

/// The same host with the secret key in a file.
fn brought(
    key: HostKey,
    path: &Path,
    sign: &Options,
    observer: &dyn Observer,
) -> Result<HostKey, Failure> {
    let at = |what: &str| Failure::key(format!("{}: {what}", path.display()));
    let text = Zeroizing::new(secrets::read(path, "signing key")?);
    let text = std::str::from_utf8(&text).map_err(|_| at("not a minisign secret key"))?;
    let password = match has_password(text) {
        None => {
            return Err(at("not a minisign secret key").advise(Advice::MakeSigningKey));
        }
        Some(false) => None,
        Some(true) => Some(password(sign, path, observer)?),
    };
    let key = key.with_secret_key(text, password.as_ref().map(|p| p.as_str()));
    key.map_err(|e| at(&e))
}

type Kept = (Result<HostKey, String>, PathBuf);

/// The key in a state folder; why none can be kept there. One that is there and cannot be read is another matter.
fn kept(folder: PathBuf, observer: &dyn Observer) -> Result<Kept, String> {
    if let Err(what) = HostKey::find(&folder, observer) {
        return Ok((Err(what), folder));
    }
    state::make(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let key = HostKey::find_or_make(&folder, observer)?;
    Ok((Ok(key), folder))
}

/// Refuses a state folder in the backup, which travels.
///
/// # Errors
/// When it is there.
pub fn refuse_inside(folder: &Path, output: &Location) -> Result<(), Failure> {
    let Some(output) = output.folder() else {
        return Ok(());
    };
    // As far as it is there: the rest is made.
    let real = |path: &Path| -> io::Result<PathBuf> {
        let path = std::path::absolute(path)?;
        let mut known = path.ancestors();
        let there = known.find_map(|known| fs::canonicalize(known).ok().map(|real| (known, real)));
        let (known, real) = there.unwrap_or((Path::new(""), PathBuf::new()));
        Ok(real.join(path.strip_prefix(known).unwrap_or(&path)))
    };
    let places = real(folder).and_then(|state| Ok((state, real(output)?)));
    let (state, output) =
        places.map_err(|e| Failure::failed(format!("{}: {e}", folder.display())))?;
    if state.starts_with(&output) {
        return Err(Failure::usage(format!(
            "the state folder {} lies in the backup, and would travel with it: give a folder elsewhere on this host",
            folder.display()
        )));
    }
    Ok(())
}

/// Whether a minisign secret key is protected by a password; none when it is no such key.
fn has_password(text: &str) -> Option<bool> {
    let line = text.trim().lines().last()?.trim();
    let bytes = Zeroizing::new(Base64::decode_vec(line).ok()?);
    (bytes.starts_with(b"Ed") && bytes.len() > 4).then(|| bytes[2..4] != [0, 0])
}

fn password(sign: &Options, path: &Path, observer: &dyn Observer) -> Result<Secret, Failure> {
    let given = sign.password.as_ref().map(SecretSource::get).transpose()?;
    if let Some(given) = given.flatten() {
        return Ok(given);
    }
    let asked = observer.ask(Question::SigningKeyPassword(path))?;
    asked.ok_or_else(|| {
        Failure::key(format!("{} is protected by a password", path.display()))
            .advise(Advice::SigningKeyPassword)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_whether_they_have_a_password() {
        let open = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let open = open.sk.to_box(None).unwrap().into_string();
        assert_eq!(has_password(&open), Some(false));
        let closed = format!(
            "untrusted comment: x\n{}",
            Base64::encode_string(b"EdScB2rest")
        );
        assert_eq!(has_password(&closed), Some(true));
        assert_eq!(has_password("-----BEGIN PRIVATE KEY-----"), None);
        assert_eq!(has_password(""), None);
    }
}
