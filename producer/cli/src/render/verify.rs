//! The outcome of a verification, for people.

use pryv_backup_engine::{
    failure::FailureKind,
    operations::verify::{report::Report, sample::Sampled},
    text::count,
};

use super::claim::verdict;
use crate::stdio::{answer, note};

/// Shows it: what is wrong on standard error.
pub fn show(report: &Report) {
    answer!("archive {}", report.archive_id);
    match report.replaced.as_deref() {
        None => {}
        Some([]) => answer!("nothing was replaced"),
        Some(replaced) => {
            for line in replaced {
                answer!("{line}");
            }
        }
    }
    for line in lines("not replaced", &report.not_replaced) {
        note!("{line}");
    }
    let remarks = lines("warning", &report.warnings).chain(lines("note", &report.notes));
    for line in remarks.chain(wrong(report)) {
        note!("{line}");
    }
    let last = summary(report);
    if report.problem().is_none() {
        answer!("{last}");
    } else {
        note!("{last}");
    }
}

/// Problems and damage, line by line.
pub fn wrong(report: &Report) -> impl Iterator<Item = String> + use<'_> {
    lines("problem", &report.problems).chain(lines("damaged", &report.damaged))
}

/// The result of a sample, which says nothing of what was not read.
fn sampled(report: &Report, sample: &Sampled) -> String {
    let done = format!(
        "sample: {} of {} read, {} % of the backup",
        sample.files,
        count(sample.of_files, "file", "files"),
        sample.percent
    );
    let last = match sample.last {
        1 if sample.percent >= 100.0 => String::new(),
        1 => "; nothing is known of the others".to_owned(),
        last => format!(
            "; the last {last} samples have read {} % of it",
            sample.percent_of_last
        ),
    };
    match report.problem() {
        None => format!("{done}: no damage in these{last}"),
        Some(FailureKind::Losses) => format!(
            "{done}: no damage in these, but {}{last}",
            named(report.problems.len())
        ),
        Some(_) => format!(
            "{done}: {}{last}: use another copy of the backup for what is damaged",
            named(report.damaged.len() + report.problems.len())
        ),
    }
}

fn named(problems: usize) -> String {
    let problems = count(problems as u64, "problem", "problems");
    format!("{problems}, named above")
}

/// Amounts that were read and the result, in one line.
pub fn summary(report: &Report) -> String {
    if let Some(sample) = &report.sample {
        return sampled(report, sample);
    }
    let mut done = format!(
        "{} verified, {}",
        count(report.files, "file", "files"),
        count(report.bytes, "byte", "bytes")
    );
    if let Some(runs) = report.runs {
        done = format!("{}, {done}", count(runs.into(), "run", "runs"));
    }
    if let Some(records) = report.records {
        done += &format!(", {}", count(records, "record", "records"));
    }
    if let Some(hashes) = &report.hashes {
        done += &format!(
            "; integrity hashes: {} match, {} do not, {} none",
            hashes.matching + hashes.rounded,
            hashes.stale,
            count(hashes.unhashed, "record has", "records have")
        );
        if hashes.unknown > 0 {
            done += &format!(", {} cannot be checked", hashes.unknown);
        }
    }
    match report.problem() {
        None => format!("{done}: {}", claim(report)),
        Some(FailureKind::Losses) => format!(
            "{done}: no damage found, but {}",
            named(report.problems.len())
        ),
        Some(_) => format!(
            "{done}; {}: use another copy of the backup for what is damaged",
            named(report.damaged.len() + report.problems.len())
        ),
    }
}

/// The claim that is allowed when nothing wrong was found.
fn claim(report: &Report) -> &'static str {
    match (report.compared, report.pinned) {
        _ if report.opened => verdict(report.compared, report.sealed, report.pinned),
        (true, true) => "all are the files that were signed (what is in them shows with the key)",
        (true, false) => {
            "all are as SHA256SUMS lists them (who made that list is not known: compare the archive id with the one that was noted, or verify with the key)"
        }
        (false, _) => "no damage found, as far as it can be checked without the key",
    }
}

fn lines<'l>(kind: &'static str, lines: &'l [String]) -> impl Iterator<Item = String> + use<'l> {
    let line = move |line: &String| format!("{kind}: {line}");
    lines.iter().map(line)
}
