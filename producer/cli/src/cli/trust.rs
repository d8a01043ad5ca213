//! The flags that say whose backups are taken.

use std::{fs, path::PathBuf};

use clap::Args;
use decryptor_wasm::signature::{Signer, duration_ms};

/// Where this host remembers things.
#[derive(Debug, Default, Args)]
pub struct StateArgs {
    /// Folder in which this host keeps the key that signs its backups, and remembers what the last run held, as keyed numbers (default:
    /// /var/lib/pryv-backup, without root $XDG_STATE_HOME/pryv-backup).
    #[arg(long, value_name = "DIR", env = "PRYV_BACKUP_STATE_DIR", help_heading = None::<&'static str>)]
    pub state_dir: Option<PathBuf>,
}

/// With what a new backup is signed.
#[derive(Debug, Default, Args)]
pub struct SignArgs {
    /// Sign with this minisign secret key instead of the one that this host keeps. If it has a password, set
    /// PRYV_BACKUP_SIGN_KEY_PASSWORD, give --sign-key-password-file, or wait to be asked.
    #[arg(long, value_name = "FILE")]
    pub sign_key: Option<PathBuf>,
    /// File with the password of that key.
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    pub sign_key_password_file: Option<PathBuf>,
    /// Sign by this line for a shell, for a key that a module keeps: it is to sign the file $MANIFEST with the trusted comment $TRUSTED_COMMENT as
    /// `minisign -S` does, and to write the signature to the file $SIGNATURE. It cannot ask for anything.
    #[arg(
        long,
        value_name = "COMMAND",
        requires = "sign_command_key",
        conflicts_with = "sign_key"
    )]
    pub sign_command: Option<String>,
    /// Public key with which that command signs (the key, or a file with it).
    #[arg(long, value_name = "KEY", requires = "sign_command", value_parser = signer)]
    pub sign_command_key: Option<Signer>,
}

/// Whose backups are taken.
#[derive(Debug, Default, Args)]
pub struct SignerArgs {
    /// Accept only backups that were signed with this key (the public key that the report of a backup prints, or a file with it); may be
    /// given several times. Default: the keys in /etc/pryv-backup/signers, and that of this host if it makes backups.
    #[arg(long, value_name = "KEY", env = "PRYV_BACKUP_SIGNER", value_delimiter = ',', value_parser = signer)]
    pub signer: Vec<Signer>,
}

/// Whose backups are taken, and in which shape.
#[derive(Debug, Default, Args)]
pub struct TrustArgs {
    #[command(flatten)]
    pub signers: SignerArgs,
    /// Accept only backups of this platform (the source that the report of a backup prints).
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    pub expect_source: Option<String>,
    /// Accept a backup that nobody signed although a signer is expected: one of Pryv's own tool, or one that was decrypted before.
    #[arg(long)]
    pub accept_unsigned: bool,
    /// Accept a backup that is not encrypted although a key or passphrase is given.
    #[arg(long)]
    pub allow_plaintext: bool,
    /// Refuse to make or open a backup that is not encrypted.
    #[arg(long, env = "PRYV_BACKUP_REQUIRE_ENCRYPTED", value_parser = clap::builder::FalseyValueParser::new(), help_heading = None::<&'static str>)]
    pub require_encrypted: bool,
    #[command(flatten)]
    pub state: StateArgs,
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
    fn a_signer_that_is_empty_is_refused_by_the_name_of_the_variable() {
        assert!(signer("").unwrap_err().contains("PRYV_BACKUP_SIGNER"));
    }
}
