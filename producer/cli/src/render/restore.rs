//! The outcome of a restore for each user, for people.

use std::fmt::Write;

use pryv_backup_engine::{
    operations::restore::report::{Integrity, Outcome, Report, Restored},
    text::{count, printable},
};

use super::{advice, capsule::HOW};

/// Makes the sentences of a report whole.
pub fn put_in_words(report: &mut Report) {
    let reasons = report
        .users
        .iter_mut()
        .filter_map(|user| user.reason.as_mut());
    reasons
        .chain(report.platform_failed.as_mut())
        .for_each(advice::put_in_words);
}

/// The report for people; its sentences are whole.
pub fn text(report: &Report) -> String {
    // Writing to a string cannot fail.
    let mut text = String::new();
    for user in &report.recovered {
        let _ = writeln!(text, "{}: an earlier run was finished", printable(user));
    }
    for user in &report.undone {
        let _ = writeln!(text, "{}: an earlier run was undone", printable(user));
    }
    if let Some(signed) = &report.signed {
        let _ = writeln!(text, "{}", printable(signed));
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {}", printable(warning));
    }
    for file in &report.left_out {
        let _ = writeln!(text, "LOST: {}", printable(file));
    }
    for user in &report.users {
        text.push_str(&printable(&line(user)));
        text.push('\n');
        for loss in &user.losses {
            let _ = writeln!(text, "  {}", printable(&format!("LOST: {loss}")));
        }
        for note in &user.notes {
            let _ = writeln!(text, "  {}", printable(&format!("note: {note}")));
        }
        if let Some(integrity) = &user.integrity {
            let _ = writeln!(text, "  {}", printable(&hashes(integrity)));
        }
    }
    if let Some(failure) = &report.platform_failed {
        let _ = writeln!(text, "platform: FAILED: {}", printable(&failure.text));
    }
    for (why, count) in &report.platform_lost {
        let _ = writeln!(text, "platform: {count} entries LOST: {}", printable(why));
    }
    if let Some(failure) = &report.archive_failed {
        let _ = writeln!(text, "backup: FAILED: {}", printable(failure));
    }
    for (why, count) in &report.platform_left_out {
        let _ = writeln!(
            text,
            "platform: {count} entries left out: {}",
            printable(why)
        );
    }
    let of = |outcome| report.users.iter().filter(|u| u.outcome == outcome).count();
    let all = report.users.len();
    let _ = match (report.verified_only, report.dry_run) {
        (true, _) => writeln!(
            text,
            "the backup is good ({:.1} s); nothing was written",
            report.seconds
        ),
        (_, true) => writeln!(
            text,
            "{} of {} would be restored; nothing was written",
            of(Outcome::WouldBeRestored),
            count(all as u64, "user", "users")
        ),
        _ => writeln!(
            text,
            "{} of {} restored, {}, {:.1} s",
            of(Outcome::Restored),
            count(all as u64, "user", "users"),
            count(report.platform, "platform entry", "platform entries"),
            report.seconds
        ),
    };
    text.push_str(&after(report));
    text
}

/// What is left to do.
fn after(report: &Report) -> String {
    let mut text = String::new();
    if report.capsule {
        let what = match report.archive {
            Some(_) => format!(
                "holds a capsule (configuration, keys and certificates), which no restore writes: {HOW}"
            ),
            None => "held a capsule (configuration, keys and certificates), which went with it"
                .to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "the backup {what}");
    }
    if !report.next.is_empty() {
        text.push_str("now, on the platform:\n");
    }
    for step in &report.next {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}", printable(step));
    }
    text
}

fn line(user: &Restored) -> String {
    let name = format!("{} ({})", user.username, user.user_id);
    let reason = user.reason.as_ref().map_or("", |reason| &reason.text);
    let records = || {
        let parts: Vec<String> = user
            .records
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        parts.join(", ")
    };
    match user.outcome {
        Outcome::Restored if user.records.is_empty() => format!("{name}: restored: {reason}"),
        Outcome::Restored => format!("{name}: restored: {}", records()),
        Outcome::WouldBeRestored => format!("{name}: would be restored: {}", records()),
        Outcome::Skipped => format!("{name}: SKIPPED: {reason}"),
        Outcome::Failed => format!("{name}: FAILED, and is as before: {reason}"),
        Outcome::Unfinished => format!("{name}: NOT FINISHED: {reason}"),
        Outcome::Unknown => format!("{name}: UNKNOWN: {reason}"),
    }
}

fn hashes(integrity: &Integrity) -> String {
    let mut text = format!(
        "hashes: {} match, {} but for the last digits of a duration, {} records have none",
        integrity.matching, integrity.rounded, integrity.unhashed
    );
    if integrity.stale > 0 {
        let _ = write!(
            text,
            ", {} did not match when the backup was made: {}",
            integrity.stale,
            integrity.stale_ids.join(", ")
        );
    }
    if integrity.unknown > 0 {
        let _ = write!(
            text,
            ", {} cannot be checked: {}",
            integrity.unknown,
            integrity.unknown_ids.join(", ")
        );
    }
    text
}
