//! The flags of the command that saves a capsule.

use std::path::PathBuf;

use clap::Args;
use pryv_backup_engine::{operations::capsule, storage::Location};

use super::{
    ConfinedArgs, OpenArgs,
    store::{folder, location},
};

#[derive(Debug, Args)]
pub struct CapsuleArgs {
    /// Folder or tar file of the backup, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(value_parser = location())]
    pub dir: Location,
    /// Folder for what is saved; new or empty.
    #[arg(long, value_name = "FOLDER", value_parser = folder())]
    pub out: PathBuf,
    /// Make the folders above it too; otherwise a missing one is taken for a disk that is not mounted.
    #[arg(long)]
    pub create_parents: bool,
    #[command(flatten)]
    pub open: OpenArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub confined: ConfinedArgs,
}

impl CapsuleArgs {
    /// As the library takes them.
    pub fn options(&self) -> capsule::Options {
        capsule::Options {
            opening: self.open.options(&self.dir, None),
            out: self.out.clone(),
            create_parents: self.create_parents,
        }
    }
}
