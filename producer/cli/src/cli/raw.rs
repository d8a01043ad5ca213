//! The flags of raw dumps.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pryv_backup_engine::{
    installation::Installation,
    operations::{raw, raw_restore},
    sealing,
    secrets::New,
    storage::Location,
    trust::Trust,
};

use super::{
    KdfArg, LayoutArgs, OpenArgs, SignArgs, location,
    options::{PASSPHRASE, new_passphrase, variable},
    passphrase,
    trust::StateArgs,
};

/// Where the platform is.
#[derive(Debug, Args)]
pub struct PlatformArgs {
    /// Folder of the Pryv.io installation.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub pryv_root: PathBuf,
    /// Configuration file (default: those that Pryv.io itself would read).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where InfluxDB takes backups: the bind-address of its configuration (default: port 8088 of its host).
    #[arg(long, value_name = "HOST:PORT")]
    pub influxdb_backup: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DumpFormatArg {
    Custom,
    Directory,
}

#[derive(Debug, Args)]
pub struct RawArgs {
    /// Folder for the dump, new or empty; s3://BUCKET/PREFIX; or `-`, which writes one tar file to standard output.
    #[arg(long, short = 'o', value_name = "DIR", value_parser = location())]
    pub output: Location,
    /// Make the folders above it too; otherwise a missing one is taken for a disk that is not mounted.
    #[arg(long)]
    pub create_parents: bool,
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
    pub passphrase_file: Option<PathBuf>,
    /// Function that makes a key of a passphrase.
    #[arg(long, value_enum, default_value_t = KdfArg::Scrypt)]
    pub kdf: KdfArg,
    #[command(flatten)]
    pub sign: SignArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// How pg_dump writes: one file, or a folder on several connections, which needs room in TMPDIR.
    #[arg(long, value_enum, default_value_t = DumpFormatArg::Custom)]
    pub format: DumpFormatArg,
    /// Connections to the database with --format directory (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Dump the previews of attachments too, which Pryv.io can make anew.
    #[arg(long)]
    pub previews: bool,
    /// Run this in a shell before anything is read (but for rqlite, which stops with the core): stops the core.
    #[arg(long, value_name = "COMMAND", requires = "start_command")]
    pub stop_command: Option<String>,
    /// Run this when all is read, or the snapshot is made, however the dump ends: starts the core again.
    #[arg(long, value_name = "COMMAND", requires = "stop_command")]
    pub start_command: Option<String>,
    /// Run this when the instant of the database is fixed: makes a snapshot of the file system (LVM, ZFS), and prints the folder of the
    /// users' files in it as its last line.
    #[arg(long, value_name = "COMMAND")]
    pub snapshot_command: Option<String>,
    /// Run this at the end, however the dump ends: removes the snapshot.
    #[arg(long, value_name = "COMMAND", requires = "snapshot_command")]
    pub release_command: Option<String>,
    /// Print progress and report as JSON objects on standard output, one a line; the report comes last.
    #[arg(long)]
    pub json: bool,
    /// Print errors and losses only.
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct RawRestoreArgs {
    /// Folder or tar file of the dump, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(value_parser = location())]
    pub dir: Location,
    #[command(flatten)]
    pub open: OpenArgs,
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// Connections of pg_restore, and files that are checked at once (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Check the dump and the platform, write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Restore although a Pryv.io core seems to be running.
    #[arg(long)]
    pub force: bool,
    /// Print progress and report as JSON objects on standard output, one a line; the report comes last.
    #[arg(long)]
    pub json: bool,
    /// Print errors and losses only.
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

impl PlatformArgs {
    fn installation(&self) -> Installation {
        Installation {
            root: self.pryv_root.clone(),
            config: self.config.clone(),
        }
    }
}

impl RawArgs {
    /// Whether the dump takes standard output.
    pub fn streams(&self) -> bool {
        self.output.stream().is_some()
    }

    /// As the library takes them.
    pub fn options(&self) -> raw::Options {
        let flag = self.encrypt_passphrase.as_ref();
        let given = new_passphrase(flag, self.passphrase_file.as_ref());
        raw::Options {
            installation: self.platform.installation(),
            output: self.output.clone(),
            create_parents: self.create_parents,
            layout: self.layout.layout(),
            sealing: sealing::Options {
                recipients: self.recipient_pubkey.clone(),
                passphrase: given.or_else(|| variable(PASSPHRASE).map(New::From)),
                kdf: self.kdf.option(),
            },
            signing: self.sign.options(),
            trust: Trust {
                state_dir: self.state.state_dir.clone(),
                ..Trust::default()
            },
            format: match self.format {
                DumpFormatArg::Custom => raw::DumpFormat::Custom,
                DumpFormatArg::Directory => raw::DumpFormat::Directory,
            },
            jobs: self.jobs,
            previews: self.previews,
            influxdb_backup: self.platform.influxdb_backup.clone(),
            commands: raw::Commands {
                stop: self.stop_command.clone(),
                start: self.start_command.clone(),
                snapshot: self.snapshot_command.clone(),
                release: self.release_command.clone(),
            },
        }
    }
}

impl RawRestoreArgs {
    /// As the library takes them.
    pub fn options(&self) -> raw_restore::Options {
        raw_restore::Options {
            opening: self.open.options(&self.dir, None),
            installation: self.platform.installation(),
            jobs: self.jobs,
            dry_run: self.dry_run,
            force: self.force,
            influxdb_backup: self.platform.influxdb_backup.clone(),
        }
    }
}
