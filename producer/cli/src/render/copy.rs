//! The second copy of a backup, for people.

use pryv_backup_engine::{operations::copy::Copied, text::count};

use crate::stdio::{answer, note};

/// Shows what was copied, and what the copy is known to be.
pub fn show(done: &Copied) {
    answer!("archive {}", done.archive_id);
    let runs = match done.runs {
        1 => String::new(),
        runs => format!("{runs} runs, "),
    };
    for warning in &done.warnings {
        note!("warning: {warning}");
    }
    let known = match &done.signer {
        Some(signer) => {
            answer!("signed by {signer}, as expected");
            "all are the files that were signed"
        }
        None => {
            "all are as manifest.json.minisig states them (who made that is not known: give --signer KEY)"
        }
    };
    answer!(
        "{runs}{} copied to {}, {} bytes: {known}",
        count(done.files, "file", "files"),
        done.output,
        done.bytes
    );
}
