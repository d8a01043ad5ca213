//! The second copy of a backup, for people.

use pryv_backup_engine::{operations::copy::Copied, text::count};

use crate::stdio::{answer, note};

/// Shows what was copied, and that it is whole.
pub fn show(done: &Copied) {
    answer!("archive {}", done.archive_id);
    let runs = match done.runs {
        1 => String::new(),
        runs => format!("{runs} runs, "),
    };
    for warning in &done.warnings {
        note!("warning: {warning}");
    }
    match &done.signer {
        Some(signer) => answer!("signed by {signer}, as expected"),
        None => answer!("who signed it was not checked: give --signer KEY"),
    }
    answer!(
        "{runs}{} copied to {}, {} bytes: all are the files that were signed",
        count(done.files, "file", "files"),
        done.output,
        done.bytes
    );
}
