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
            "nothing copied: {} has {} already; nothing was compared (`pryv-backup verify` does that)",
            done.output,
            match done.runs {
                1 => "this backup".to_owned(),
                runs => format!("all {runs} runs"),
            }
        );
        return;
    }
    if done.kept > 0 {
        answer!(
            "{} there already from a copy that was interrupted, as good as the others",
            count(done.kept, "file was", "files were")
        );
    }
    let which = match done.runs_there {
        0 => "all",
        _ => "these",
    };
    let known = match &done.signer {
        Some(signer) => {
            answer!("signed by {signer}, as expected");
            "are the files that were signed"
        }
        None => {
            "are as manifest.json.minisig states them (who made that is not known: give --signer KEY)"
        }
    };
    let there = match done.runs_there {
        0 => String::new(),
        there => format!(
            "; {} there already and not compared (`pryv-backup verify` does that)",
            count(there.into(), "run was", "runs were")
        ),
    };
    answer!(
        "{runs}{} copied to {}, {} bytes: {which} {known}{there}",
        count(done.files, "file", "files"),
        done.output,
        done.bytes
    );
}
