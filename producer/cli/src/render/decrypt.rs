//! Text about an archive that is decrypted: the same sentences as `decrypt-backup.mjs`.

use decryptor_wasm::{
    chain::caution,
    layout::CAPSULE,
    plan::{Finding, Severity},
};
use pryv_backup_engine::{
    advice::Advice,
    archive::read::Archive,
    failure::FailureKind,
    findings::{pinned, sentence},
    operations::decrypt::Decrypted,
    text::count,
};

use super::advice::words;
use super::claim::verdict;
use crate::stdio::{answer, note};

fn say(line: &str) {
    answer!("{line}");
}

fn warn(line: &str) {
    note!("{line}");
}

/// Says what this archive guarantees and what it does not, before anything is done with it.
pub fn guarantees(archive: &Archive) {
    say(&format!("archive {}", archive.id()));
    if let Some(chain) = &archive.chain {
        say(&chain.sequence.headline(chain.run));
    }
    for finding in &archive.plan.findings {
        match finding.code {
            "signer" | "pinned-signer" => say(&finding.message),
            "unsigned" => warn(&format!("warning: {}", finding.message)),
            _ => {}
        }
    }
    if let Some(caution) = caution(&archive.manifest) {
        let advice = Advice::Core(Box::new(caution.clone()));
        warn(&format!("warning: {caution}{}", words(&advice)));
    }
    if archive.plan.inventoried {
        if !archive.is_encrypted() && !pinned(archive) {
            say(
                "Not encrypted: damage is found, but whoever changed a file could change the inventory too.",
            );
        }
        return;
    }
    warn("This archive has no inventory (Pryv's own tool writes none). What cannot be checked:");
    warn(if archive.is_encrypted() {
        "  - a file that is missing, cut at a frame boundary (attachments), swapped with another of the same archive, or stale"
    } else {
        "  - any file: nothing tells whether one was changed, cut, added or removed"
    });
}

/// The users and what the archive holds of each.
pub fn users(archive: &Archive) {
    if let Some(chain) = &archive.chain {
        chain.sequence.lines().iter().for_each(|line| say(line));
    }
    for user in archive.plan.users.iter() {
        let stats = user.stats.by_name();
        let stats = stats.map(|(name, count)| format!("{name} {count}"));
        say(&format!(
            "{}  {}  {}",
            user.username,
            user.user_id,
            stats.join(", ")
        ));
    }
    // A raw dump has files instead of users; a capsule has some beside them.
    let files = archive.files();
    let shown = match archive.raw().is_ok_and(|raw| raw.is_some()) {
        true => 0..files.len(),
        false => files.below(CAPSULE),
    };
    for file in files.within(shown) {
        let size = file.expected.map_or(file.size, |entry| entry.content_size);
        say(&format!("{}  {}", file.path, count(size, "byte", "bytes")));
    }
    say(&format!(
        "{}, {}",
        count(archive.plan.users.len() as u64, "user", "users"),
        count(archive.files().len() as u64, "file", "files")
    ));
}

/// Prints the findings and returns the worst.
pub fn findings(archive: &Archive) -> Option<FailureKind> {
    let shown = archive.plan.findings.iter().filter(|f| !said_before(f));
    let mut problem = None;
    for finding in shown {
        problem = match finding.severity {
            Severity::Error => Some(FailureKind::Damaged),
            _ if finding.is_left_out() => problem.or(Some(FailureKind::Losses)),
            _ => problem,
        };
        one(finding);
    }
    problem
}

/// Whether [`guarantees`] says it.
fn said_before(finding: &Finding) -> bool {
    finding.code == "no-inventory" || finding.names_signer()
}

fn one(finding: &Finding) {
    let severity = match finding.severity {
        Severity::Error => "damaged",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    warn(&format!("{severity}: {}", sentence(finding)));
}

/// Prints what came of the work and returns the worst problem.
pub fn summary(archive: &Archive, outcome: &Decrypted) -> Option<FailureKind> {
    archive
        .plan
        .findings
        .iter()
        .filter(|f| f.severity != Severity::Error && !said_before(f))
        .for_each(one);
    for message in &outcome.damaged {
        warn(&format!("damaged: {message}"));
    }
    for path in &outcome.salvaged {
        warn(&format!(
            "salvaged: {path} holds what could be read, and is not proved"
        ));
    }
    let mut done = format!(
        "{} {}, {}",
        count(outcome.files, "file", "files"),
        outcome.verb,
        count(outcome.bytes, "byte", "bytes")
    );
    if outcome.records > 0 {
        done += &format!(", {}", count(outcome.records, "record", "records"));
    }
    if outcome.damaged.is_empty() {
        let findings = archive.plan.findings.iter();
        let left_out = findings.filter(|finding| finding.is_left_out()).count() as u64;
        if left_out > 0 {
            let files = count(left_out, "file", "files");
            warn(&format!(
                "{done}: no damage found, but {files} of the archive left out, named above"
            ));
            return Some(FailureKind::Losses);
        }
        let claim = verdict(
            archive.plan.inventoried,
            archive.is_encrypted(),
            pinned(archive),
        );
        say(&format!("{done}: {claim}"));
        return None;
    }
    let problems = count(outcome.damaged.len() as u64, "problem", "problems");
    warn(&if outcome.nothing_written {
        format!("{problems}, named above: nothing was written (--strict)")
    } else {
        format!(
            "{done}; {problems}, named above: use another copy of the backup for what is damaged"
        )
    });
    Some(FailureKind::Damaged)
}
