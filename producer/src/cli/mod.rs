//! The command line: one definition per flag; parsing and printing only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key pair for encrypted backups.
    Keygen(KeygenArgs),
    /// Write a small sample platform to try the tool with.
    Sample {
        /// New folder for the platform.
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// File for the private key; the public key goes beside it with `.pub.pem`.
    #[arg(long, short = 'o', default_value = "pryv-backup-key.pem")]
    pub output: PathBuf,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KdfArg {
    Scrypt,
    Pbkdf2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlatformArg {
    Pryv,
    None,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Folder for the backup; new or empty.
    #[arg(long, short = 'o', value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Back up one user only (user id or username).
    #[arg(long, short = 'u')]
    pub user: Option<String>,
    /// Write plain .jsonl files instead of .jsonl.gz.
    #[arg(long)]
    pub no_compress: bool,
    /// Megabytes of records per event or audit file.
    #[arg(long, visible_alias = "target-file-size", value_name = "MB", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=400))]
    pub max_chunk_size: u64,
    /// Encrypt to the holder of this public key (PEM); may be given several times.
    #[arg(long, value_name = "PEM", conflicts_with_all = ["encrypt_passphrase", "passphrase_file"])]
    pub recipient_pubkey: Vec<PathBuf>,
    /// Encrypt with this passphrase; better: PRYV_BACKUP_PASSPHRASE or --passphrase-file.
    #[arg(long, value_name = "PASSPHRASE", conflicts_with = "passphrase_file")]
    pub encrypt_passphrase: Option<String>,
    /// Encrypt with the passphrase in this file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// How a passphrase becomes a key.
    #[arg(long, value_enum, default_value_t = KdfArg::Scrypt)]
    pub kdf: KdfArg,
    /// The platform's own entries: as Pryv's backup has them, or none.
    #[arg(long, value_enum, default_value_t = PlatformArg::Pryv)]
    pub platform: PlatformArg,
    /// Folder of the Pryv.io installation.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub pryv_root: PathBuf,
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say what would be backed up, write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Report as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print errors and losses only.
    #[arg(long, short = 'q')]
    pub quiet: bool,
    /// Name each user as it is done.
    #[arg(long, short = 'v', conflicts_with = "quiet")]
    pub verbose: bool,
    /// Not available yet in this version.
    #[arg(long)]
    pub include_ephemeral: bool,
    /// Not available yet in this version.
    #[arg(long)]
    pub incremental: bool,
    /// Not available yet in this version.
    #[arg(long, short = 'r', value_name = "DIR")]
    pub restore: Option<PathBuf>,
}
