//! The second copy of a backup, for people.

use pryv_backup_engine::{operations::copy::Copied, text::count};

use crate::stdio::answer;

/// Shows what was copied, and that it is whole.
pub fn show(done: &Copied) {
    answer!("archive {}", done.archive_id);
    let runs = match done.runs {
        1 => String::new(),
        runs => format!("{runs} runs, "),
    };
    answer!(
        "{runs}{} copied to {}, {} bytes: all are the files that were signed",
        count(done.files, "file", "files"),
        done.output,
        done.bytes
    );
}
