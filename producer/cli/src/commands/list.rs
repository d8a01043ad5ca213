//! `list`: which archive this is. What is inside a sealed one shows with its key only.

use std::path::Path;

use decryptor_wasm::{
    Envelope, Manifest, Mode, UserEntry,
    chain::{CHAIN, IndexRun, Links},
    manifest::Loss,
    plan::Severity,
    signature::Demands,
};
use indicatif::HumanBytes;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    companions_hold,
    decrypt::report::sentence,
    open, print_json,
    secrets::{self, Secrets},
    verify::{self, outside::Reads},
    warn,
};
use crate::{answer, note};
use crate::{
    archive::read::{Archive, Choice, Folder, links, lost_index, mixed_runs},
    cli::LookArgs,
    failure::Failure,
    progress::Tally,
    text::{count, printable},
};

/// An archive, as far as it can be seen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    path: String,
    archive_id: String,
    /// `none`, or the mode of the envelope.
    encryption: &'static str,
    /// Fingerprints of the public keys.
    recipients: Vec<String>,
    files: usize,
    bytes: u64,
    /// Of a chain: as `chain.json` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<IndexRun>,
    /// The same in words.
    #[serde(skip)]
    lines: Vec<String>,
    /// What is odd, such as files that nothing lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(flatten)]
    inside: Option<Inside>,
}

/// What the manifest says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inside {
    /// RFC 3339.
    made: String,
    by: String,
    backup_type: String,
    engine: String,
    domain: String,
    /// Who signed it, and whether that is somebody who is expected.
    signed: String,
    users: Vec<UserEntry>,
    losses: Vec<Loss>,
}

/// Shows the archive in a folder, or all archives in the folders there.
pub fn run(args: &LookArgs) -> Result<u8, Failure> {
    let mut secrets = Secrets::new(&args.key);
    if args.dir.join("manifest.json").exists() || !args.dir.is_dir() {
        let (listed, code) = look(&args.dir, args, &secrets)?;
        show(&[listed], args.json)?;
        return Ok(code);
    }
    if args.expect.id().is_some() {
        return Err(Failure::usage(
            "--expect-id is of one backup: give its folder, not one with backups in it",
        ));
    }
    let folders = std::fs::read_dir(&args.dir)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(|e| Failure::failed(format!("{}: {e}", args.dir.display())));
    let mut folders: Vec<std::path::PathBuf> = folders?;
    folders.retain(|path| path.join("manifest.json").exists());
    folders.sort();
    if folders.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no archive: give the folder of a backup, or one with backups in it",
            args.dir.display()
        )));
    }
    let (mut all, mut worst) = (Vec::new(), 0);
    for folder in &folders {
        secrets.forget_asked();
        match look(folder, args, &secrets) {
            Ok((listed, code)) => {
                all.push(listed);
                worst = worst.max(code);
            }
            Err(failure) => {
                note!(
                    "{}",
                    printable(&format!("{}: {}", folder.display(), failure.message()))
                );
                worst = worst.max(failure.kind().exit_code());
            }
        }
    }
    show(&all, args.json)?;
    Ok(worst)
}

fn look(dir: &Path, args: &LookArgs, secrets: &Secrets<'_>) -> Result<(Listed, u8), Failure> {
    let folder = Folder::new(dir);
    let files = folder.list()?;
    if let (Some(lost), false) = (lost_index(&folder)?, args.at == Some(1)) {
        return Err(lost.into());
    }
    if let Some(mixed) = mixed_runs(&folder)? {
        return Err(mixed.into());
    }
    let sealed = super::verify::is_sealed(&files);
    let demands = super::demands(&args.expect, &args.key)?;
    demands.storage(sealed)?;
    let envelope = if files.iter().any(|(path, _)| path == "encryption.json") {
        Some(Envelope::parse(&folder.read("encryption.json")?)?)
    } else {
        None
    };
    let links = folder.has(CHAIN).then(|| links(&folder)).transpose()?;
    let mut listed = Listed {
        path: dir.display().to_string(),
        archive_id: String::new(),
        encryption: envelope.as_ref().map_or("none", |e| e.mode().name()),
        recipients: envelope
            .iter()
            .flat_map(|e| e.recipients().iter().map(|r| r.fingerprint.clone()))
            .collect(),
        files: files.len(),
        bytes: files.iter().map(|(_, size)| size).sum(),
        runs: links.iter().flat_map(|l| l.index().runs.clone()).collect(),
        lines: links.iter().flat_map(Links::lines).collect(),
        warnings: Vec::new(),
        inside: None,
    };
    if sealed && !secrets::given(&args.key) {
        let tally = Tally::default();
        let expect_id = args.expect.id();
        let jobs = verify::jobs(None);
        let report =
            verify::outside::verify(&folder, Reads::Clear, expect_id, &demands, jobs, &tally)?;
        for damaged in &report.damaged {
            note!("{}", printable(&format!("damaged: {damaged}")));
        }
        listed.lines.extend(report.notes.iter().cloned());
        let code = report.exit_code();
        listed.archive_id = report.archive_id;
        listed.warnings = report.warnings;
        return Ok((listed, code));
    }
    let archive = open(dir, choice(args, &demands), secrets)?;
    listed.archive_id.clone_from(&archive.id);
    listed.inside = Some(inside(&archive));
    let odd = archive.plan.findings.iter();
    let odd = odd.filter(|finding| finding.severity == Severity::Warning);
    let odd = odd.filter(|finding| !(finding.is_left_out() || finding.names_signer()));
    listed.warnings = odd.map(sentence).collect();
    let code = match warn(&archive) {
        _ if !companions_hold(&archive) => 4,
        code => code,
    };
    Ok((listed, code))
}

/// What of the archive is looked at.
pub(super) fn choice<'a>(args: &'a LookArgs, demands: &'a Demands) -> Choice<'a> {
    Choice {
        user: args.user.as_deref(),
        at: args.at,
        expect_id: args.expect.id(),
        demands,
    }
}

fn inside(archive: &Archive) -> Inside {
    let manifest: &Manifest = &archive.manifest;
    let by = manifest.producer.as_ref();
    Inside {
        made: Timestamp::from_millisecond(manifest.backup_timestamp)
            .map_or_else(|_| "unknown".to_owned(), |time| time.to_string()),
        by: by.map_or_else(
            || "Pryv's own tool".to_owned(),
            |p| format!("{} {}", p.name, p.version),
        ),
        backup_type: manifest.backup_type.clone(),
        engine: manifest.config.engine.clone(),
        domain: manifest.config.domain.clone(),
        signed: signed(archive),
        users: archive.plan.users.clone(),
        losses: manifest.losses.clone(),
    }
}

fn signed(archive: &Archive) -> String {
    let findings = archive.plan.findings.iter();
    let mut said = findings.filter(|finding| finding.names_signer());
    said.next()
        .map_or_else(String::new, |said| said.message.clone())
}

fn show(all: &[Listed], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&serde_json::json!({ "archives": all }));
    }
    for listed in all {
        for line in text(listed) {
            answer!("{}", printable(&line));
        }
        for warning in &listed.warnings {
            note!("{}", printable(&format!("warning: {warning}")));
        }
    }
    Ok(())
}

fn text(listed: &Listed) -> Vec<String> {
    let sealed = match listed.encryption {
        "none" => "not encrypted".to_owned(),
        mode if mode == Mode::Hybrid.name() => match listed.recipients.as_slice() {
            [] => "encrypted to a public key".to_owned(),
            some => format!("encrypted to {}", some.join(", ")),
        },
        mode => format!("encrypted with a passphrase ({mode})"),
    };
    let mut lines = vec![
        listed.path.clone(),
        format!("  archive {}", listed.archive_id),
        format!(
            "  {sealed}; {}, {}",
            count(listed.files as u64, "file", "files"),
            HumanBytes(listed.bytes)
        ),
    ];
    lines.extend(listed.lines.iter().map(|line| format!("  {line}")));
    let Some(inside) = &listed.inside else {
        lines.push(
            "  what is inside shows with its key: --private-key or --passphrase-file".to_owned(),
        );
        return lines;
    };
    lines.push(format!(
        "  made {} by {}, {}; engine {}, domain {}",
        inside.made, inside.by, inside.backup_type, inside.engine, inside.domain
    ));
    lines.push(format!("  {}", inside.signed));
    for user in &inside.users {
        lines.push(format!(
            "  {}  {}  {}, {}",
            user.username,
            user.user_id,
            count(user.stats.events, "event", "events"),
            count(user.stats.attachments, "attachment", "attachments")
        ));
    }
    lines.push(format!(
        "  {}, {} when it was made",
        count(inside.users.len() as u64, "user", "users"),
        count(inside.losses.len() as u64, "loss", "losses")
    ));
    lines
}
