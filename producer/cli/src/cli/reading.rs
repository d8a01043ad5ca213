//! The flags of the commands that read archives.

use std::path::PathBuf;

use clap::Args;
use pryv_backup_engine::storage::Location;

use super::{
    ExpectArgs, KeyArgs, OpenArgs, TrustArgs, archive_id,
    store::{folder, location},
    trust,
};

/// How little a command that reads can reach.
#[derive(Debug, Default, Args)]
pub struct ConfinedArgs {
    /// Say whether the system keeps this command from reaching anything but the archive, its key and where it writes.
    #[arg(long, short = 'v')]
    pub verbose: bool,
}

#[derive(Debug, Default, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["out", "list", "verify"]))]
pub struct DecryptArgs {
    /// Folder or tar file of the backup, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(default_value = ".", value_parser = location())]
    pub dir: Location,
    /// Write the decrypted files to this folder.
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pub out: Option<PathBuf>,
    /// Make the folders above --out too; otherwise a missing one is taken for a disk that is not mounted.
    #[arg(long)]
    pub create_parents: bool,
    /// Show the users and what the backup holds of each.
    #[arg(long)]
    pub list: bool,
    /// Check every file, write nothing.
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub key: KeyArgs,
    /// Write plain .jsonl instead of .jsonl.gz.
    #[arg(long)]
    pub gunzip: bool,
    /// Only this user (user id or username).
    #[arg(long, short = 'u')]
    pub user: Option<String>,
    /// Write into a folder that is not empty.
    #[arg(long)]
    pub force: bool,
    /// Write nothing at all if anything is damaged.
    #[arg(long, conflicts_with = "salvage")]
    pub strict: bool,
    /// Of a damaged file, keep what can be read, as FILE.salvaged.
    #[arg(long)]
    pub salvage: bool,
    /// Of a chain, take the state at this run, counted from 1 (default: the newest).
    #[arg(long, value_name = "RUN", value_parser = clap::value_parser!(u32).range(1..))]
    pub at: Option<u32>,
    #[command(flatten)]
    pub expect: ExpectArgs,
    /// Files at once (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub confined: ConfinedArgs,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["hashes", "out"]))]
pub struct DecryptorsArgs {
    /// Print version, SHA-256 and name of those that this version writes, and of those of earlier releases.
    #[arg(long)]
    pub hashes: bool,
    /// Write those of this version into this folder; no file there is replaced.
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct LookArgs {
    /// Folder or tar file of the backup, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(default_value = ".", value_parser = location())]
    pub dir: Location,
    #[command(flatten)]
    pub open: OpenArgs,
    /// Only this user (user id or username).
    #[arg(long, short = 'u')]
    pub user: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub confined: ConfinedArgs,
}

#[derive(Debug, Args)]
pub struct CatArgs {
    /// Folder or tar file of the backup, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(value_parser = location())]
    pub dir: Location,
    /// Path in the archive, with or without `.gz`.
    pub path: String,
    #[command(flatten)]
    pub open: OpenArgs,
    /// Leave records compressed.
    #[arg(long)]
    pub raw: bool,
    /// Say what the file is, as one JSON object on standard error after it has been printed.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub confined: ConfinedArgs,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Folder or tar file of the older backup, or `-`; of a chain, DIR@RUN takes the state at that run.
    #[arg(value_parser = location())]
    pub old: Location,
    /// Folder or tar file of the newer backup, or `-`; of a chain, DIR@RUN takes the state at that run.
    #[arg(value_parser = location())]
    pub new: Location,
    #[command(flatten)]
    pub key: KeyArgs,
    /// Accept no newer backup but the one with this id (SHA-256 of manifest.json as stored; of a chain, that of the run).
    #[arg(long, value_name = "ID", value_parser = archive_id)]
    pub expect_id: Option<String>,
    /// The same for the older one.
    #[arg(long, value_name = "ID", value_parser = archive_id)]
    pub expect_old_id: Option<String>,
    /// Refuse a backup that is older than this: 30d, 12h, 2w.
    #[arg(long, value_name = "TIME", value_parser = trust::age)]
    pub max_age: Option<i64>,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Only this user (user id or username).
    #[arg(long, short = 'u')]
    pub user: Option<String>,
    /// Name every record that differs.
    #[arg(long, short = 'v')]
    pub verbose: bool,
    /// Print one JSON object.
    #[arg(long, conflicts_with = "verbose")]
    pub json: bool,
}
