//! The command line: one definition per flag; parsing and printing only.

mod backup_options;
mod capsule;
mod fleet;
mod layout;
mod moment;
mod options;
mod raw;
mod reading;
mod restoring;
mod store;
mod tools;
mod trust;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use decryptor_wasm::signature::is_core_name;
use pryv_backup_engine::storage::Location;

pub use capsule::CapsuleArgs;
pub use fleet::FleetArgs;
pub use layout::{CopyArgs, LayoutArgs};
pub use raw::{RawArgs, RawRestoreArgs};
pub use reading::{CatArgs, ConfinedArgs, DecryptArgs, DecryptorsArgs, DiffArgs, LookArgs};
pub use restoring::{IntegrityArg, RestoreArgs};
pub use store::StoreArgs;
use store::location;
pub use tools::{ConsolidateArgs, ExtractArgs, FormatArg, PruneArgs, RekeyArgs, VerifyArgs};
pub use trust::{SignArgs, TrustArgs};

/// Encrypted backups of Pryv.io platforms.
#[derive(Debug, Parser)]
#[command(
    name = "pryv-backup",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub backup: BackupArgs,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key pair that encrypts backups, or one that signs them.
    Keygen(KeygenArgs),
    /// Decrypt, verify or list a backup, as decrypt-backup.mjs does.
    Decrypt(DecryptArgs),
    /// Check an archive: without its key the files as they are stored, with it every record in them.
    #[command(mut_arg("at", |at| at.help("Of a chain, with the key, check the state at this run, counted from 1, and the runs that it needs (default: the newest, and all runs)")))]
    Verify(VerifyArgs),
    /// Show what an archive is and, with its key, its users; or show all archives in a folder.
    List(LookArgs),
    /// Count what an archive holds, and show what takes its space.
    Stats(LookArgs),
    /// Print one file of an archive, decrypted and decompressed.
    Cat(CatArgs),
    /// Write chosen records of a collection as JSON lines, CSV or Parquet.
    Extract(ExtractArgs),
    /// Compare two archives, record by record.
    Diff(DiffArgs),
    /// Change who can open an archive: its key is wrapped anew, and what it holds stays as it is.
    Rekey(RekeyArgs),
    /// Make a second copy of an archive, without its key: the same files and id, also in another layout.
    Copy(CopyArgs),
    /// Copy an archive into a new one, encrypted anew for the same people or for others.
    Consolidate(ConsolidateArgs),
    /// Show the newest backup of each core of a platform, and what is missing.
    Fleet(FleetArgs),
    /// Remove old backups from a folder of backups.
    Prune(PruneArgs),
    /// Save the configuration, keys and certificates that a backup with --include-config took along; a restore never writes them.
    #[command(mut_arg("at", |at| at.help("Of a chain, take the newest that the state at this run has, counted from 1 (default: the newest of all)")))]
    Capsule(CapsuleArgs),
    /// Dump a platform as its own tools do (pg_dump, influxd), with its files as they lie there, encrypted.
    Raw(RawArgs),
    /// Put a raw dump back into an empty installation of the same version.
    RawRestore(RawRestoreArgs),
    /// Say by which hashes the script and the page in backups are known, or write them from here, where nobody has replaced them.
    Decryptors(DecryptorsArgs),
    /// Write a small sample platform to try the tool with.
    Sample {
        /// New folder for the platform.
        dir: PathBuf,
    },
}

impl Cli {
    /// Whether more is said of how the command runs.
    #[must_use]
    pub fn is_verbose(&self) -> bool {
        match &self.command {
            Some(Command::Decrypt(args)) => args.confined.verbose,
            Some(Command::Verify(args)) => args.confined.verbose,
            Some(Command::List(args) | Command::Stats(args)) => args.confined.verbose,
            Some(Command::Capsule(args)) => args.confined.verbose,
            Some(Command::Cat(args)) => args.confined.verbose,
            Some(Command::Extract(args)) => args.confined.verbose,
            Some(Command::Diff(args)) => args.verbose,
            _ => false,
        }
    }

    /// Whether what is answered is read by a program.
    #[must_use]
    pub fn is_json(&self) -> bool {
        match &self.command {
            None => self.backup.json && !self.backup.streams(),
            Some(Command::Verify(args)) => args.json,
            Some(Command::List(args) | Command::Stats(args)) => args.json,
            Some(Command::Diff(args)) => args.json,
            // Otherwise records are answered.
            Some(Command::Extract(args)) => args.json && args.out.is_some(),
            Some(Command::Rekey(args)) => args.json,
            Some(Command::Copy(args)) => args.json,
            Some(Command::Consolidate(args)) => args.json,
            Some(Command::Prune(args)) => args.json,
            Some(Command::Fleet(args)) => args.json,
            Some(Command::Capsule(args)) => args.json,
            Some(Command::Raw(args)) => args.json && !args.streams(),
            Some(Command::RawRestore(args)) => args.json,
            _ => false,
        }
    }
}

#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// File for the private key (default: pryv-backup-key.pem, or pryv-backup-sign.key); the public key goes beside it with `.pub.pem`,
    /// or `.pub`.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Make a minisign key pair, for --sign-key and --signer.
    #[arg(long, conflicts_with = "bits")]
    pub signing: bool,
    /// Bits of the RSA key: 2048 to 8192.
    #[arg(long, default_value_t = 3072)]
    pub bits: usize,
    /// Encrypt the private key with a passphrase that is asked for.
    #[arg(long)]
    pub passphrase: bool,
    /// Encrypt the private key with the passphrase in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    pub passphrase_file: Option<PathBuf>,
}

/// Private keys that open an encrypted backup.
#[derive(Debug, Default, Args)]
pub struct PrivateKeyArgs {
    /// Private key (PEM or DER); may be given several times: each run of a chain is tried with each.
    #[arg(long, value_name = "FILE")]
    pub private_key: Vec<PathBuf>,
    /// Passphrase of the private key; safer: PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE, or wait to be asked.
    #[arg(long, value_name = "PASSPHRASE", value_parser = passphrase)]
    pub private_key_passphrase: Vec<String>,
}

/// Secrets that open an encrypted backup.
#[derive(Debug, Default, Args)]
pub struct KeyArgs {
    #[command(flatten)]
    pub private: PrivateKeyArgs,
    /// Passphrase of the backup; may be given several times; safer: PRYV_BACKUP_PASSPHRASE, or wait to be asked.
    #[arg(long, value_name = "PASSPHRASE", value_parser = passphrase, conflicts_with = "passphrase_file")]
    pub passphrase: Vec<String>,
    /// File with the passphrase of the backup.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Vec<PathBuf>,
}

/// Which archive is meant.
#[derive(Debug, Default, Args)]
pub struct ExpectArgs {
    /// Accept no archive but the one with this id (SHA-256 of manifest.json as stored; of a chain, that of the run).
    #[arg(long, value_name = "ID", value_parser = archive_id)]
    pub expect_id: Option<String>,
    /// Refuse a backup that is older than this: 30d, 12h, 2w.
    #[arg(long, value_name = "TIME", value_parser = trust::age)]
    pub max_age: Option<i64>,
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// Which state of a backup is opened, and with which secrets.
#[derive(Debug, Default, Args)]
pub struct OpenArgs {
    #[command(flatten)]
    pub key: KeyArgs,
    #[command(flatten)]
    pub expect: ExpectArgs,
    /// Of a chain, take the state at this run, counted from 1 (default: the newest).
    #[arg(long, value_name = "RUN", value_parser = clap::value_parser!(u32).range(1..))]
    pub at: Option<u32>,
}

fn passphrase(text: &str) -> Result<String, String> {
    match text {
        "" => Err("the passphrase is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn core(text: &str) -> Result<String, String> {
    if is_core_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a core has a name of 1 to 63 letters, digits, `.`, `_` and `-`".to_owned())
    }
}

fn archive_id(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_owned())
    } else {
        Err("an archive id has 64 hex digits".to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KdfArg {
    Scrypt,
    Pbkdf2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlatformArg {
    Full,
    Pryv,
    None,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Folder for the backup; new or empty, or with --incremental that of the runs before; `-` writes one tar file to standard output.
    #[arg(long, short = 'o', value_name = "DIR", conflicts_with = "restore", value_parser = location())]
    pub output: Option<Location>,
    /// Make the folders above it too; otherwise a missing one is taken for a disk that is not mounted.
    #[arg(long, requires = "output")]
    pub create_parents: bool,
    /// Back up one user only (user id or username).
    #[arg(long, short = 'u')]
    pub user: Option<String>,
    /// Write plain .jsonl files instead of .jsonl.gz.
    #[arg(long)]
    pub no_compress: bool,
    /// Megabytes of records in a file of events or of the audit trail.
    #[arg(long, visible_alias = "target-file-size", value_name = "MB", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=400))]
    pub max_chunk_size: u64,
    #[command(flatten)]
    pub layout: LayoutArgs,
    /// Encrypt to the holder of this public key (PEM); may be given several times.
    #[arg(long, value_name = "PEM", conflicts_with_all = ["encrypt_passphrase", "passphrase_file"])]
    pub recipient_pubkey: Vec<PathBuf>,
    /// Encrypt with a passphrase, which is asked for when none is given here; or set PRYV_BACKUP_PASSPHRASE, or give --passphrase-file.
    #[arg(long, value_name = "PASSPHRASE", value_parser = passphrase, conflicts_with = "passphrase_file")]
    pub encrypt_passphrase: Option<Option<String>>,
    /// Encrypt with the passphrase in this file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Vec<PathBuf>,
    /// Function that makes a key of a passphrase.
    #[arg(long, value_enum, default_value_t = KdfArg::Scrypt)]
    pub kdf: KdfArg,
    /// What to take of the platform's own database: all of it (secrets into encrypted backups only), what Pryv's own backup takes, or nothing.
    #[arg(long, value_enum, default_value_t = PlatformArg::Full)]
    pub platform: PlatformArg,
    /// Name of the core that is backed up, for `pryv-backup fleet` (default: core.id of Pryv.io's configuration, unless that is `single`).
    #[arg(long, value_name = "NAME", value_parser = core, conflicts_with = "restore")]
    pub core: Option<String>,
    /// Folder of the Pryv.io installation.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub pryv_root: PathBuf,
    /// Configuration file (default: those that Pryv.io itself would read).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Threads, and connections to the database for large users (default: one per core, at most 8).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Say what would be backed up, write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print progress and report as JSON objects on standard output, one a line; the report comes last.
    #[arg(long)]
    pub json: bool,
    /// Print errors and losses only.
    #[arg(long, short = 'q')]
    pub quiet: bool,
    /// Name each user as it is done.
    #[arg(long, short = 'v', conflicts_with = "quiet")]
    pub verbose: bool,
    /// Count this as no loss: the name, as a backup reports it, of something that it left out because this version does not know it; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub accept_loss: Vec<String>,
    /// Back up sessions and password resets too; into encrypted backups only.
    #[arg(long)]
    pub include_ephemeral: bool,
    /// Take the configuration that Pryv.io loads, its keys and certificates, and the versions of what runs, too; into encrypted backups only.
    #[arg(long, conflicts_with = "restore")]
    pub include_config: bool,
    /// Read the backup again when it is made, and check every record; needs no private key.
    #[arg(long, conflicts_with = "restore")]
    pub verify: bool,
    /// Back up only what has changed since the last run in that folder, which stays as it is; the first run is a full one.
    #[arg(long, conflicts_with = "restore")]
    pub incremental: bool,
    #[command(flatten)]
    pub sign: SignArgs,
    /// Restore the backup in this folder or tar file, or on standard input (`-`), into the platform.
    #[arg(long, short = 'r', value_name = "DIR", value_parser = location())]
    pub restore: Option<Location>,
    #[command(flatten)]
    pub restoring: RestoreArgs,
}
