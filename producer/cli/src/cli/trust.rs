//! The flags that say whose backups are taken.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use decryptor_wasm::signature::{Demands, Signer, duration_ms};

use crate::{failure::Failure, regular, state};

/// Signers whom all users of this machine expect, one a line.
const MACHINE: &str = "/etc/pryv-backup/signers";

/// Where this host remembers things.
#[derive(Debug, Default, Args)]
pub struct StateArgs {
    /// Where this host keeps the key with which it signs, and remembers what the last run held, as keyed numbers (default:
    /// /var/lib/pryv-backup, without root $XDG_STATE_HOME/pryv-backup).
    #[arg(long, value_name = "DIR", env = "PRYV_BACKUP_STATE_DIR", help_heading = None::<&'static str>)]
    pub state_dir: Option<PathBuf>,
}

/// With what a new backup is signed.
#[derive(Debug, Default, Args)]
pub struct SignArgs {
    /// Sign with this minisign secret key instead of the one that this host keeps. Its password, if it has one, is asked for; or
    /// PRYV_BACKUP_SIGN_KEY_PASSWORD, or --sign-key-password-file.
    #[arg(long, value_name = "FILE")]
    pub sign_key: Option<PathBuf>,
    /// The password of that key, from a file.
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    pub sign_key_password_file: Option<PathBuf>,
}

/// Whose backups are taken, and in which shape.
#[derive(Debug, Default, Args)]
pub struct TrustArgs {
    /// Take backups of this signer only (the public key that the report of a backup prints, or a file with it); may be given several
    /// times. Default: those in /etc/pryv-backup/signers, and this host itself if it makes backups.
    #[arg(long, value_name = "KEY", env = "PRYV_BACKUP_SIGNER", value_delimiter = ',', value_parser = signer)]
    pub signer: Vec<Signer>,
    /// Take backups of this platform only (the source that the report of a backup prints).
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    pub expect_source: Option<String>,
    /// Take a backup that nobody signed although a signer is expected: of Pryv's own tool, or one that was decrypted before.
    #[arg(long)]
    pub accept_unsigned: bool,
    /// Take a backup that is not encrypted although a key or passphrase is given.
    #[arg(long)]
    pub allow_plaintext: bool,
    /// Refuse a backup that is not encrypted, be it made or opened.
    #[arg(long, env = "PRYV_BACKUP_REQUIRE_ENCRYPTED", value_parser = clap::builder::FalseyValueParser::new(), help_heading = None::<&'static str>)]
    pub require_encrypted: bool,
    #[command(flatten)]
    pub state: StateArgs,
}

impl StateArgs {
    /// The folder.
    ///
    /// # Errors
    /// A sentence, when there is no such place.
    pub fn folder(&self) -> Result<PathBuf, String> {
        self.state_dir.clone().map_or_else(state::usual, Ok)
    }
}

impl TrustArgs {
    /// What is asked of an archive; `secret_given`: something is there to open it with. `max_age`: in milliseconds.
    ///
    /// # Errors
    /// When a file of signers cannot be read, or what is asked contradicts itself.
    pub fn demands(&self, secret_given: bool, max_age: Option<i64>) -> Result<Demands, Failure> {
        if self.allow_plaintext && self.require_encrypted {
            return Err(Failure::usage(
                "--allow-plaintext excludes --require-encrypted and PRYV_BACKUP_REQUIRE_ENCRYPTED",
            ));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Demands {
            signers: self.signers()?,
            source: self.expect_source.clone(),
            max_age,
            now: now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX)),
            secret_given,
            allow_plaintext: self.allow_plaintext,
            require_encrypted: self.require_encrypted,
            accept_unsigned: self.accept_unsigned,
        })
    }

    /// The signers that are pinned: those that are given, or else those of the machine and of this host.
    ///
    /// # Errors
    /// When a file of signers cannot be read.
    pub fn signers(&self) -> Result<Vec<Signer>, Failure> {
        if !self.signer.is_empty() {
            return Ok(self.signer.clone());
        }
        let mut signers = listed(Path::new(MACHINE), |e| e.kind() == io::ErrorKind::NotFound)?;
        if let Ok(folder) = self.state.folder() {
            let own = state::host::HostKey::find(&folder).map_err(Failure::failed)?;
            signers.extend(own.map(|own| own.signer().clone()));
            signers.extend(listed(
                &folder.join(state::host::SIGNERS),
                state::is_absent,
            )?);
        }
        Ok(signers)
    }
}

/// What a minisign `.pub` file begins with.
const COMMENT: &str = "untrusted comment:";

/// The signers in a file, which may be `absent`: a line each, or whole minisign `.pub` files one after the other. Empty lines, and those that begin with `#`, count
/// for nothing.
fn listed(path: &Path, absent: fn(&io::Error) -> bool) -> Result<Vec<Signer>, Failure> {
    let mut text = String::new();
    let read = regular::follow(path).and_then(|mut file| file.read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(e) if absent(&e) => return Ok(Vec::new()),
        Err(e) => return Err(Failure::failed(format!("{}: {e}", path.display()))),
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = (1..).zip(text.lines().map(str::trim_ascii));
    let counts =
        |line: &str| !(line.is_empty() || line.starts_with('#') || line.starts_with(COMMENT));
    let signers = lines.filter(|(_, line)| counts(line));
    let parsed = signers.map(|(number, line)| {
        let at = |e| Failure::failed(format!("{}, line {number}: {e}", path.display()));
        Signer::parse(line).map_err(at)
    });
    parsed.collect()
}

fn signer(text: &str) -> Result<Signer, String> {
    if text.is_empty() {
        return Err("no key is named; where none is to be, unset PRYV_BACKUP_SIGNER".to_owned());
    }
    Signer::parse(text).or_else(|error| match fs::read_to_string(text) {
        Ok(file) => Signer::parse(&file).map_err(|e| e.to_string()),
        Err(_) => Err(error.to_string()),
    })
}

fn source(text: &str) -> Result<String, String> {
    if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_lowercase())
    } else {
        Err("a source has 32 hex digits".to_owned())
    }
}

pub(super) fn age(text: &str) -> Result<i64, String> {
    duration_ms(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_signers_takes_lines_and_pub_files() {
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            listed(file.path(), state::is_absent)
        };
        let text = format!("# ours\n\n{key}\nuntrusted comment: minisign public key\n{key}\n");
        assert_eq!(read(&text).unwrap().len(), 2);
        let failure = read(&format!("{key}\n\nnone\n")).unwrap_err();
        let place = format!("{}, line 3: ", file.path().display());
        assert!(failure.message.starts_with(&place), "{}", failure.message);
        assert!(
            listed(Path::new("/nowhere/signers"), state::is_absent)
                .unwrap()
                .is_empty()
        );
        assert!(signer("").unwrap_err().contains("PRYV_BACKUP_SIGNER"));
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_the_name_of_the_variable_too() {
        let both = TrustArgs {
            allow_plaintext: true,
            require_encrypted: true,
            ..TrustArgs::default()
        };
        let failure = both.demands(true, None).unwrap_err();
        assert_eq!(failure.code, 2);
        let variable = "PRYV_BACKUP_REQUIRE_ENCRYPTED";
        assert!(failure.message.contains(variable), "{}", failure.message);
    }
}
