//! Whose backups are taken, and in which shape.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use decryptor_wasm::signature::{Demands, Signer};

use crate::advice::Advice;
use crate::{failure::Failure, observer::Observer, regular, state};

/// Signers whom all users of this machine expect, one a line.
const MACHINE: &str = "/etc/pryv-backup/signers";

/// Which signers, platforms and shapes of backups are taken.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Backups of these signers only; none: those of the machine, and this host itself.
    pub signers: Vec<Signer>,
    /// Backups of this platform only.
    pub source: Option<String>,
    /// A backup that nobody signed too, although a signer is expected.
    pub accept_unsigned: bool,
    /// A backup that is not encrypted too, although a key or passphrase is given.
    pub allow_plaintext: bool,
    /// No backup that is not encrypted.
    pub require_encrypted: bool,
    /// Where this host keeps its key and what it remembers; none: the usual place.
    pub state_dir: Option<PathBuf>,
}

/// Which archive is meant.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// No archive but this one: SHA-256 of `manifest.json` as stored; of a chain, that of the run.
    pub id: Option<String>,
    /// None that is older, in milliseconds.
    pub max_age: Option<i64>,
    /// Signers and condition of the backups that are taken.
    pub trust: Trust,
}

impl Expect {
    /// Makes the demands on an archive; `secret_given`: something is there to open it with.
    ///
    /// # Errors
    /// When a file of signers cannot be read, or what is asked contradicts itself.
    pub fn demands(&self, secret_given: bool, observer: &dyn Observer) -> Result<Demands, Failure> {
        self.trust.demands(secret_given, self.max_age, observer)
    }
}

impl Trust {
    /// Makes the demands on an archive; `secret_given`: something is there to open it with. `max_age`: in milliseconds.
    ///
    /// # Errors
    /// When a file of signers cannot be read, or what is asked contradicts itself.
    pub fn demands(
        &self,
        secret_given: bool,
        max_age: Option<i64>,
        observer: &dyn Observer,
    ) -> Result<Demands, Failure> {
        if self.allow_plaintext && self.require_encrypted {
            return Err(Failure::usage(
                "a backup that is not encrypted is both allowed and refused",
            )
            .advise(Advice::AllowOrRefusePlaintext));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Demands {
            signers: self.pinned(observer)?,
            source: self.source.clone(),
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
    pub fn pinned(&self, observer: &dyn Observer) -> Result<Vec<Signer>, Failure> {
        if !self.signers.is_empty() {
            return Ok(self.signers.clone());
        }
        let mut signers = listed(Path::new(MACHINE), |e| e.kind() == io::ErrorKind::NotFound)?;
        if let Ok(folder) = state::folder(self.state_dir.as_deref()) {
            let own = state::host::HostKey::find(&folder, observer).map_err(Failure::failed)?;
            signers.extend(own.map(|own| own.signer().clone()));
            signers.extend(listed(
                &folder.join(state::host::SIGNERS),
                state::is_absent,
            )?);
        }
        Ok(signers)
    }
}

/// First words of a minisign `.pub` file.
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

#[cfg(test)]
mod tests {
    use std::fs;

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
        assert!(
            failure.message().starts_with(&place),
            "{}",
            failure.message()
        );
        assert!(
            listed(Path::new("/nowhere/signers"), state::is_absent)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let both = Trust {
            allow_plaintext: true,
            require_encrypted: true,
            ..Trust::default()
        };
        let failure = both
            .demands(true, None, &crate::observer::Silent)
            .unwrap_err();
        assert_eq!(failure.kind(), crate::failure::FailureKind::Usage);
        let advice = failure.sentence().advice.clone();
        assert_eq!(advice, Some(Advice::AllowOrRefusePlaintext));
    }
}
