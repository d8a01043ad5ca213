//! A raw dump that was made, or put back, for people.

use std::fmt::Write;

use indicatif::HumanBytes;
use pryv_backup_engine::{
    operations::{raw, raw_restore},
    text::{count, printable},
};

/// The report of a dump.
pub fn text(report: &raw::Report) -> String {
    let place = match report.output.as_str() {
        "-" => "on standard output".to_owned(),
        output => printable(&format!("in {output}")),
    };
    let mut text = format!(
        "raw dump {place}: {} in {:.1} s, encryption: {}\n{}; {}\narchive id: {}\n",
        HumanBytes(report.bytes),
        report.seconds,
        report.encryption,
        report.stores.join(", "),
        count(report.files, "file", "files"),
        report.archive_id
    );
    for (what, value) in [
        ("signed by:", &report.signer),
        ("source:", &report.source),
        ("decrypt-backup.mjs: SHA-256", &report.script_sha256),
        ("decrypt-backup.html: SHA-256", &report.page_sha256),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{what} {}", printable(value));
    }
    for note in &report.notes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "note: {}", printable(note));
    }
    text.push_str(&losses(report));
    text
}

/// The losses of a dump, and what could not be ended around it, one line each.
pub fn losses(report: &raw::Report) -> String {
    let mut text = String::new();
    for loss in &report.losses {
        let path = loss.path.as_deref().unwrap_or("-");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}",
            printable(&format!("LOST: {path}: {}", loss.what))
        );
    }
    more(&mut text, report.more_losses);
    // Last, where it is read first: the core may still be stopped.
    for trouble in &report.trouble {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "FAILED: {}", printable(trouble));
    }
    text
}

/// The report of a dump that was put back.
pub fn restored(report: &raw_restore::Report) -> String {
    let mut text = String::new();
    if let Some(signed) = &report.signed {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", printable(signed));
    }
    for warning in &report.warnings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "warning: {}", printable(warning));
    }
    for loss in &report.losses {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "LOST: {}", printable(loss));
    }
    more(&mut text, report.more_losses);
    let stores = report.stores.join(", ");
    // Writing to a string cannot fail.
    let _ = match report.dry_run {
        true => writeln!(
            text,
            "the dump is good and fits here ({stores}; {:.1} s); nothing was written",
            report.seconds
        ),
        false => writeln!(
            text,
            "restored: {stores}; {}, {:.1} s\nthe configuration files of the dump are in raw/config: `pryv-backup cat` prints one",
            count(report.files, "file", "files"),
            report.seconds
        ),
    };
    text
}

fn more(text: &mut String, losses: u64) {
    if losses > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "LOST: {losses} more");
    }
}
