//! What a run says when it is over.

use std::{fmt::Write, path::Path, time::Duration};

use decryptor_wasm::manifest::{Loss, UserStats};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::{
    archive::{Finished, Sealing, page_sha256, script_sha256},
    platform::{Shared, User},
    text::{count, printable},
};

/// The outcome of a backup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always `report`: with `--json`, lines of progress may come before it.
    pub event: &'static str,
    /// Where the archive is; empty on a dry run.
    pub output: String,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// SHA-256 of the page `decrypt-backup.html` that lies in an encrypted archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_sha256: Option<String>,
    /// The same of the script `decrypt-backup.mjs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_sha256: Option<String>,
    /// The public key of who signed the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Which platform it is of, as later backups of it say too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Nothing was written.
    pub dry_run: bool,
    /// `recipients`, `passphrase` or `none`.
    pub encryption: &'static str,
    /// Number of users.
    pub users: usize,
    /// Sums over the users.
    pub records: UserStats,
    /// What belongs to no user.
    pub platform: PlatformCounts,
    /// Bytes of all files of the archive.
    pub bytes: u64,
    /// What could not be read.
    pub losses: Vec<Loss>,
    /// What was left out and is no loss, because `--accept-loss` names it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted_losses: Vec<Loss>,
    /// What else is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The number of losses that are not listed here, but in the users' own manifests.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_losses: u64,
    /// Secrets of the platform (and sessions) that were left out because the archive is not encrypted.
    pub withheld: u64,
    /// Of a run with `--incremental`: what it is in its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainReport>,
    /// What reading it again has shown, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<crate::commands::verify::report::Report>,
    /// Whole run.
    pub seconds: f64,
}

/// A run of a chain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainReport {
    /// Its number, from 1.
    pub run: u32,
    /// `full` or `incremental`.
    pub kind: String,
    /// Why a full run was made where an increment was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_full: Option<String>,
    /// Its folder, relative to that of the chain; empty for the first.
    pub path: String,
    /// The archive id of the run before.
    pub parent: Option<String>,
    /// Users who are no more.
    pub removed_users: Vec<String>,
    /// That the newest run which this host remembers was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<String>,
}

/// Numbers of records that belong to no user.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformCounts {
    /// Unique and indexed values of accounts.
    pub index: u64,
    /// Other entries of the platform's own database.
    pub keys: u64,
    /// Other names of users.
    pub aliases: u64,
    /// Who is logged in.
    pub sessions: u64,
    /// Who asked for a new password.
    pub password_resets: u64,
    /// Records of the audit trails of users who are no more.
    #[serde(skip_serializing_if = "is_zero")]
    pub kept_audit: u64,
}

impl PlatformCounts {
    /// From what was counted, in the order of [`Shared::ALL`].
    pub fn of(counts: &[u64; Shared::ALL.len()]) -> Self {
        let of = |kind: Shared| counts[kind as usize];
        PlatformCounts {
            index: of(Shared::Index),
            keys: of(Shared::Keys),
            aliases: of(Shared::Aliases),
            sessions: of(Shared::Sessions),
            password_resets: of(Shared::PasswordResets),
            kept_audit: 0,
        }
    }
}

impl Report {
    /// Of a finished backup.
    pub fn done(
        output: &Path,
        finished: &Finished,
        stats: &[UserStats],
        losses: Vec<Loss>,
        sealing: &Sealing,
        took: Duration,
    ) -> Self {
        let mut records = UserStats::default();
        for user in stats {
            records.streams += user.streams;
            records.accesses += user.accesses;
            records.profile += user.profile;
            records.webhooks += user.webhooks;
            records.events += user.events;
            records.audit += user.audit;
            records.series += user.series;
            records.attachments += user.attachments;
        }
        Report {
            event: "report",
            output: output.display().to_string(),
            archive_id: finished.id.clone(),
            page_sha256: (!matches!(sealing, Sealing::None)).then(page_sha256),
            script_sha256: (!matches!(sealing, Sealing::None)).then(script_sha256),
            signer: Some(finished.signer.to_string()),
            source: Some(finished.statement.source.clone()),
            dry_run: false,
            encryption: encryption(sealing),
            users: stats.len(),
            records,
            platform: PlatformCounts::default(),
            bytes: 0,
            losses,
            accepted_losses: Vec::new(),
            notes: Vec::new(),
            more_losses: 0,
            withheld: 0,
            chain: None,
            verified: None,
            seconds: took.as_secs_f64(),
        }
    }

    /// Of a run that only looked.
    pub fn dry_run(users: &[User], sealing: &Sealing) -> Self {
        Report {
            event: "report",
            output: String::new(),
            archive_id: String::new(),
            page_sha256: None,
            script_sha256: None,
            signer: None,
            source: None,
            dry_run: true,
            encryption: encryption(sealing),
            users: users.len(),
            records: UserStats::default(),
            platform: PlatformCounts::default(),
            bytes: 0,
            losses: Vec::new(),
            accepted_losses: Vec::new(),
            notes: Vec::new(),
            more_losses: 0,
            withheld: 0,
            chain: None,
            verified: None,
            seconds: 0.0,
        }
    }

    /// The exit code: 5 when something was lost, 4 when the archive turned out to be damaged.
    pub fn exit_code(&self) -> u8 {
        match &self.verified {
            Some(verified) if verified.exit_code() == 4 => 4,
            Some(verified) if verified.exit_code() != 0 => 5,
            _ if self.losses.is_empty() && self.rolled_back().is_none() => 0,
            _ => 5,
        }
    }

    /// That the backup is not encrypted, where it is not; to be said before anything else.
    pub fn plain_text(&self) -> &'static str {
        match self.encryption {
            "none" => {
                "NOT ENCRYPTED: whoever can read this backup reads everything in it (--recipient-pubkey or --encrypt-passphrase encrypts)\n"
            }
            _ => "",
        }
    }

    /// That the newest run which this host remembers was not there.
    fn rolled_back(&self) -> Option<&str> {
        self.chain.as_ref()?.rolled_back.as_deref()
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let plain = self.plain_text();
        if self.dry_run {
            return format!(
                "{plain}dry run: {} would be backed up (encryption: {}); nothing was written\n",
                count(self.users as u64, "user", "users"),
                self.encryption
            );
        }
        let (r, p) = (&self.records, &self.platform);
        let mut text = format!(
            "{plain}backup of {} in {}: {} in {:.1} s, encryption: {}\n\
             events {}, streams {}, accesses {}, profile {}, webhooks {}, audit {}, series {}, attachments {}\n\
             platform entries {}, aliases {}, sessions {}, password resets {}\n\
             archive id: {}\n",
            count(self.users as u64, "user", "users"),
            self.output,
            HumanBytes(self.bytes),
            self.seconds,
            self.encryption,
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
            self.archive_id
        );
        if p.kept_audit > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "audit records of users who were deleted: {}",
                p.kept_audit
            );
        }
        if let Some(chain) = &self.chain {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "run {} of the chain: {}", chain.run, chain.kind);
            if let Some(why) = &chain.why_full {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "full, because: {}", printable(why));
            }
            if !chain.removed_users.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "users who are no more: {}", chain.removed_users.len());
            }
        }
        for (what, value) in [
            ("signed by:", &self.signer),
            ("source:", &self.source),
            ("decrypt-backup.mjs: SHA-256", &self.script_sha256),
            ("decrypt-backup.html: SHA-256", &self.page_sha256),
        ] {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{what} {value}");
            }
        }
        if self.withheld > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{} secrets of the platform were left out: they go into encrypted backups only",
                self.withheld
            );
        }
        for loss in &self.accepted_losses {
            let name = loss.path.as_deref().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{}",
                printable(&format!("left out, as accepted: {name}: {}", loss.what))
            );
        }
        for note in &self.notes {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "note: {note}");
        }
        text.push_str(&self.losses_text());
        if let Some(verified) = &self.verified {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", verified.summary());
        }
        text
    }

    /// The losses, and what was found when the backup was read again, one line each.
    pub fn losses_text(&self) -> String {
        let mut text = String::new();
        if let Some(what) = self.rolled_back() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", printable(&format!("ROLLED BACK: {what}")));
        }
        for loss in &self.losses {
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
        if self.more_losses > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "LOST: {} more, named in the user-manifest.json of each user",
                self.more_losses
            );
        }
        for line in self.verified.iter().flat_map(|verified| verified.wrong()) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn encryption(sealing: &Sealing) -> &'static str {
    match sealing {
        Sealing::None => "none",
        Sealing::Recipients(_) => "recipients",
        Sealing::Passphrase { .. } => "passphrase",
    }
}
