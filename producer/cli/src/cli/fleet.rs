//! The flags of the command that looks at several cores.

use std::path::PathBuf;

use clap::Args;
use pryv_backup_engine::{
    installation::Installation, operations::fleet, storage::Location, trust::Trust,
};

use super::{
    KeyArgs, location,
    trust::{SignerArgs, StateArgs, age},
};

#[derive(Debug, Args)]
pub struct FleetArgs {
    /// Folder, or s3://BUCKET/PREFIX, below which each core has a folder or prefix of its own, with one backup or several.
    #[arg(value_parser = location())]
    pub dir: Location,
    #[command(flatten)]
    pub key: KeyArgs,
    /// Name cores whose newest good run is older than this, and do not count what is in it: 26h, 2d, 1w.
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub max_age: Option<i64>,
    #[command(flatten)]
    pub signers: SignerArgs,
    /// Look at backups that are not encrypted although a key or passphrase is given.
    #[arg(long)]
    pub allow_plaintext: bool,
    /// The backups of this prefix are right, although they changed since the last look; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub accept_change: Vec<String>,
    /// Folder of the Pryv.io installation of a core: its configuration holds the key of the tokens that stand for users (platform.piiMode
    /// hashed).
    #[arg(long, value_name = "DIR")]
    pub pryv_root: Option<PathBuf>,
    /// Configuration file with that key (default: those that Pryv.io itself would read in that folder).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub state: StateArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl FleetArgs {
    /// As the library takes them.
    pub fn options(&self) -> fleet::Options {
        let configured = self.pryv_root.is_some() || self.config.is_some();
        fleet::Options {
            dir: self.dir.clone(),
            keys: self.key.options(),
            trust: Trust {
                signers: self.signers.signer.clone(),
                allow_plaintext: self.allow_plaintext,
                state_dir: self.state.state_dir.clone(),
                ..Trust::default()
            },
            max_age: self.max_age,
            accept_change: self.accept_change.clone(),
            installation: configured.then(|| Installation {
                root: self.pryv_root.clone().unwrap_or_else(|| ".".into()),
                config: self.config.clone(),
            }),
        }
    }
}
