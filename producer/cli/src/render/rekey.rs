//! Who can open an archive now, for people.

use pryv_backup_engine::{operations::rekey::Rekeyed, text::count};

use crate::stdio::{answer, note};

/// Shows it.
pub fn show(done: &Rekeyed) {
    answer!("archive {}", done.archive_id);
    match (done.runs, done.changed) {
        (_, 0) => answer!("nothing was left to change"),
        (Some(_), changed) => answer!("{} changed", count(changed as u64, "run was", "runs were")),
        (None, _) => {}
    }
    for fingerprint in &done.added {
        answer!("added   {fingerprint}");
    }
    for fingerprint in &done.removed {
        answer!("removed {fingerprint}");
    }
    answer!("it opens with:");
    for fingerprint in &done.recipients {
        answer!("  {fingerprint}");
    }
    for run in &done.left {
        note!("left as it is: {}", run.text);
    }
    if let Some(warning) = done.warning {
        note!("warning: {warning}");
    }
}
