//! Records that the backup keeps of users who were deleted.

use decryptor_wasm::layout::REMOVED_USERS;

use super::SharedRestore;
use crate::{operations::restore::lines, platform::write::RestoreError};

impl SharedRestore<'_> {
    /// The audit trails of users who were deleted have no place: a platform has them only where it deleted the users itself.
    pub(super) fn kept_audit(&mut self) -> Result<(), RestoreError> {
        if !self.how.everybody {
            return Ok(());
        }
        let folder = format!("{REMOVED_USERS}/");
        let files = self.archive.files();
        let mut records = 0;
        for file in files.within(files.below(&folder)) {
            lines::each(self.archive, &file, &mut |lines| {
                records += lines::split(lines).count() as u64;
                Ok(())
            })?;
        }
        if records > 0 {
            let what = "they are audit records of users who were deleted, for whom a restore has no place: read them in the backup \
                        (removed-users/), which is to be kept for them";
            self.lost.insert(what.to_owned(), records);
        }
        Ok(())
    }
}
