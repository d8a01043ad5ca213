//! The copy of an archive, for people.

use pryv_backup_engine::operations::consolidate::Consolidated;

use super::verify::{summary, wrong};
use crate::stdio::{answer, note};

/// Shows which archive it is, and what reading it again has shown.
pub fn show(done: &Consolidated) {
    answer!("from    {}", done.from);
    answer!("archive {}", done.archive_id);
    answer!("signed by {}", done.signer);
    answer!("source {}", done.source);
    for line in wrong(&done.verified) {
        note!("{line}");
    }
    answer!("{}", summary(&done.verified));
}
