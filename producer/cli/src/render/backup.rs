//! A backup that was made, for people.

use std::fmt::Write;

use indicatif::HumanBytes;
use pryv_backup_engine::{
    operations::backup::Report,
    text::{count, printable},
};

use super::{capsule::taken, verify};

/// That the backup is not encrypted, where it is not; to be said before anything else.
pub fn not_encrypted(report: &Report) -> &'static str {
    match report.encryption {
        "none" => {
            "NOT ENCRYPTED: whoever can read this backup reads everything in it (--recipient-pubkey or --encrypt-passphrase encrypts)\n"
        }
        _ => "",
    }
}

/// The lines about a run of a chain.
fn chain(report: &Report) -> String {
    let mut text = String::new();
    if let Some(chain) = &report.chain {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "run {} of the chain: {}",
            chain.run,
            chain.kind.name()
        );
        if let Some(why) = &chain.why_full {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "full, because: {}", printable(why));
        }
        if !chain.removed_users.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "users who are no more: {}", chain.removed_users.len());
        }
    }
    text
}

/// Where the backup is.
fn place(report: &Report) -> String {
    match report.output.as_str() {
        "-" => "on standard output".to_owned(),
        output => printable(&format!("in {output}")),
    }
}

/// The report for people.
pub fn text(report: &Report) -> String {
    let plain = not_encrypted(report);
    if report.dry_run {
        return format!(
            "{plain}dry run: {} would be backed up (encryption: {}); nothing was written\n",
            count(report.users as u64, "user", "users"),
            report.encryption
        );
    }
    let (r, p) = (&report.records, &report.platform);
    let mut text = format!(
        "{plain}backup of {} {}: {} in {:.1} s, encryption: {}\n\
         events {}, streams {}, accesses {}, profile {}, webhooks {}, audit {}, series {}, attachments {}\n\
         platform entries {}, aliases {}, sessions {}, password resets {}\n\
         archive id: {}\n",
        count(report.users as u64, "user", "users"),
        place(report),
        HumanBytes(report.bytes),
        report.seconds,
        report.encryption,
        r.events,
        r.streams,
        r.accesses,
        r.profile,
        r.webhooks,
        r.audit,
        r.series,
        r.attachments,
        p.index + p.keys,
        p.aliases,
        p.sessions,
        p.password_resets,
        report.archive_id
    );
    if p.kept_audit > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "audit records of users who were deleted: {}",
            p.kept_audit
        );
    }
    text.push_str(&chain(report));
    for (what, value) in [
        ("signed by:", &report.signer),
        ("source:", &report.source),
        ("core:", &report.core),
        ("decrypt-backup.mjs: SHA-256", &report.script_sha256),
        ("decrypt-backup.html: SHA-256", &report.page_sha256),
    ] {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{what} {}", printable(value));
        }
    }
    text.push_str(&left_out(report));
    text.push_str(&losses(report));
    if let Some(verified) = &report.verified {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", verify::summary(verified));
    }
    text
}

/// What the backup does not hold and is no loss, and what else is worth knowing.
fn left_out(report: &Report) -> String {
    let mut text = String::new();
    if report.withheld > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} secrets of the platform were left out: they go into encrypted backups only",
            report.withheld
        );
    }
    for loss in &report.accepted_losses {
        let name = loss.path.as_deref().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}",
            printable(&format!("left out, as accepted: {name}: {}", loss.what))
        );
    }
    if let Some(capsule) = &report.capsule {
        text.push_str(&taken(capsule));
    }
    for note in &report.notes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "note: {}", printable(note));
    }
    if !report.not_held.is_empty() {
        let names = report.not_held.join(", ");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "not in this backup, and needed by a restored platform; keep them elsewhere: {}",
            printable(&names)
        );
    }
    text
}

/// The losses, and what was found when the backup was read again, one line each.
pub fn losses(report: &Report) -> String {
    let mut text = String::new();
    if let Some(what) = report.rolled_back() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", printable(&format!("ROLLED BACK: {what}")));
    }
    for loss in &report.losses {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}",
            printable(&format!(
                "LOST: user {}: {}: {}",
                loss.user_id.as_deref().unwrap_or("-"),
                loss.path
                    .as_deref()
                    .or(loss.collection.as_deref())
                    .unwrap_or("-"),
                loss.what
            ))
        );
    }
    if report.more_losses > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "LOST: {} more, named in the user-manifest.json of each user",
            report.more_losses
        );
    }
    for line in report.verified.iter().flat_map(verify::wrong) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
    text
}
