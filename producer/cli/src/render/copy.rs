//! The second copy of a backup, for people.

use pryv_backup_engine::{operations::copy::Copied, text::count};

use crate::stdio::{answer, note};

/// Shows what was copied, and what the copy is known to be.
pub fn show(done: &Copied) {
    answer!("archive {}", done.archive_id);
    let copied = done.runs - done.runs_there;
    let runs = match copied {
        1 if done.runs == 1 => String::new(),
        copied => count(copied.into(), "run, ", "runs, "),
    };
    for warning in &done.warnings {
        note!("warning: {warning}");
    }
    if copied == 0 {
        answer!(
            "nothing copied: {} has {} already, which `pryv-backup verify` checks",
            done.output,
            match done.runs {
                1 => "this backup".to_owned(),
                runs => format!("all {runs} runs"),
            }
        );
        return;
    }
    if done.runs_there > 0 {
        answer!(
            "{} there already, which `pryv-backup verify` checks",
            count(done.runs_there.into(), "run was", "runs were")
        );
    }
    if done.kept > 0 {
        answer!(
            "{} there already from a copy that was interrupted, as good as the others",
            count(done.kept, "file was", "files were")
        );
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
