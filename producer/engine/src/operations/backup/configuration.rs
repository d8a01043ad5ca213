//! What a backup takes of the configuration of its platform.

use super::{
    super::capsule::{self, CapsuleContents},
    Options, Prepared,
};
use crate::{advice::Advice, archive::ArchiveWriter, failure::Failure};

/// Refuses the configuration of all in a backup of one user.
///
/// # Errors
/// When that is asked for.
pub fn refuse(options: &Options) -> Result<(), Failure> {
    match options.include_config && options.user.is_some() {
        true => Err(Failure::usage(
            "the configuration is of the whole platform, and goes into no backup of one user",
        )),
        false => Ok(()),
    }
}

/// The failure of a backup that would hold it in the clear.
pub fn in_the_clear() -> Failure {
    Failure::usage(
        "the configuration of a platform holds its keys, and goes into encrypted backups only",
    )
    .advise(Advice::NameRecipients)
}

impl Prepared<'_> {
    /// Writes what a new host needs beside the data, where that is asked for.
    pub(super) fn write_capsule(
        &self,
        archive: &mut ArchiveWriter,
    ) -> Result<Option<CapsuleContents>, Failure> {
        if !self.options.include_config {
            return Ok(None);
        }
        let taken_at = (self.platform.instant()? * 1000.0) as i64;
        let of = (&self.options.installation, &self.config);
        let migration = self.platform.migration();
        capsule::take(archive, of, self.mode, migration, taken_at).map(Some)
    }

    /// What a restored platform needs and the backup does not hold.
    pub(super) fn not_held(&self, capsule: Option<&CapsuleContents>) -> Vec<String> {
        let apart = self.config.kept_apart.iter();
        match capsule {
            Some(capsule) => capsule.not_held.clone(),
            None => apart.map(|one| one.name.clone()).collect(),
        }
    }
}
