//! The flags of a restore.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ExpectArgs, passphrase};

/// How a backup is restored.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --restore")]
pub struct RestoreArgs {
    /// Private key (PEM or DER) that opens the backup; may be given several times: each run of a chain is tried with each.
    #[arg(long, value_name = "FILE", requires = "restore")]
    pub private_key: Vec<PathBuf>,
    /// Passphrase of the private key; safer: PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE, or wait to be asked.
    #[arg(long, value_name = "PASSPHRASE", value_parser = passphrase, requires = "restore")]
    pub private_key_passphrase: Vec<String>,
    /// Passphrase of the backup; safer: PRYV_BACKUP_PASSPHRASE, --passphrase-file, or wait to be asked.
    #[arg(long, value_name = "PASSPHRASE", value_parser = passphrase, requires = "restore")]
    pub decrypt_passphrase: Vec<String>,
    /// Replace users who are on the platform already.
    #[arg(long, requires = "restore")]
    pub overwrite: bool,
    /// Leave out users who clash with others of the platform, and restore the rest.
    #[arg(long, requires = "restore")]
    pub skip_conflicts: bool,
    /// Check the hashes of events, accesses and attachments before a user is restored.
    #[arg(long, requires = "restore")]
    pub verify_integrity: bool,
    /// With strict, a record whose hash was wrong before it was backed up fails its user, and hashes are checked as with --verify-integrity.
    #[arg(long, value_enum, default_value_t = IntegrityArg::Normal, requires = "restore")]
    pub integrity: IntegrityArg,
    /// Remove the backup when all its users are restored and the platform gives back what it holds.
    #[arg(long, requires = "restore", conflicts_with = "move_on_success")]
    pub delete_on_success: bool,
    /// Move the backup to this path when all its users are restored and the platform gives back what it holds.
    #[arg(long, value_name = "PATH", requires = "restore")]
    pub move_on_success: Option<PathBuf>,
    /// Verify the backup, restore nothing.
    #[arg(long, requires = "restore")]
    pub verify_only: bool,
    /// Restore a user under another name; may be given several times.
    #[arg(long, value_name = "OLD=NEW", requires = "restore", value_parser = renaming)]
    pub remap_user: Vec<(String, String)>,
    /// Leave the platform's own database alone.
    #[arg(long, requires = "restore")]
    pub skip_platform: bool,
    /// Restore although a Pryv.io core seems to be running on the platform.
    #[arg(long, requires = "restore")]
    pub force: bool,
    /// Make the folder of the users' files, where there is none yet.
    #[arg(long, requires = "restore")]
    pub create_users_dir: bool,
    /// Of a chain, take the state at this run, counted from 1 (default: the newest).
    #[arg(long, value_name = "RUN", requires = "restore", value_parser = clap::value_parser!(u32).range(1..))]
    pub at: Option<u32>,
    #[command(flatten)]
    pub expect: ExpectArgs,
}

impl RestoreArgs {
    /// Tells where they contradict each other.
    pub fn contradiction(&self) -> Option<&'static str> {
        let checks = self.verify_integrity || self.integrity == IntegrityArg::Strict;
        let disposes = self.delete_on_success || self.move_on_success.is_some();
        match self.verify_only {
            true if self.skip_conflicts => {
                Some("--verify-only restores nothing, so nothing can clash")
            }
            true if checks || disposes => Some(
                "--verify-only restores nothing: leave out --delete-on-success and --move-on-success; hashes of records are checked by `pryv-backup verify` with the key",
            ),
            _ => None,
        }
    }

    /// Tells which of them are on a command line without `--restore`: the person wants a restore, and would get a backup. Secrets are
    /// taken beside `--incremental`, where Pryv's own tool needs them.
    pub fn misplaced(&self, incremental: bool) -> Option<String> {
        let secrets = [
            ("--private-key", !self.private_key.is_empty()),
            (
                "--private-key-passphrase",
                !self.private_key_passphrase.is_empty(),
            ),
            ("--decrypt-passphrase", !self.decrypt_passphrase.is_empty()),
        ];
        let others = [
            ("--overwrite", self.overwrite),
            ("--skip-conflicts", self.skip_conflicts),
            ("--verify-integrity", self.verify_integrity),
            ("--integrity", self.integrity != IntegrityArg::Normal),
            ("--delete-on-success", self.delete_on_success),
            ("--move-on-success", self.move_on_success.is_some()),
            ("--verify-only", self.verify_only),
            ("--remap-user", !self.remap_user.is_empty()),
            ("--skip-platform", self.skip_platform),
            ("--force", self.force),
            ("--create-users-dir", self.create_users_dir),
            ("--at", self.at.is_some()),
            ("--expect-id", self.expect.expect_id.is_some()),
            ("--expect-source", self.expect.trust.expect_source.is_some()),
            ("--max-age", self.expect.max_age.is_some()),
            ("--accept-unsigned", self.expect.trust.accept_unsigned),
            ("--allow-plaintext", self.expect.trust.allow_plaintext),
        ];
        let given = |flags: &[(&'static str, bool)]| {
            let found = flags.iter().find(|(_, given)| *given);
            found.map(|(flag, _)| *flag)
        };
        let secret = given(&secrets).filter(|_| !incremental).map(|flag| {
            format!("{flag} opens a backup that is restored, and encrypts none: give --recipient-pubkey or --encrypt-passphrase")
        });
        secret.or_else(|| {
            given(&others).map(|flag| {
                format!("{flag} belongs to a restore: give --restore DIR, or leave it out")
            })
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IntegrityArg {
    Normal,
    Strict,
}

/// As Pryv.io has them.
fn is_username(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (first, last) = (text.bytes().next(), text.bytes().last());
    first.is_some_and(fine)
        && last.is_some_and(fine)
        && text.bytes().all(|byte| fine(byte) || byte == b'-')
}

fn renaming(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((_, new)) if !is_username(new) => Err(format!(
            "{new:?} is no username: lower-case letters, digits and hyphens between them"
        )),
        Some((old, new)) if !old.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err("write OLD=NEW".to_owned()),
    }
}
