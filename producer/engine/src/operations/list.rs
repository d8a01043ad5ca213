//! `list`: which archives these are. What is inside a sealed one shows with its key only.

use std::path::PathBuf;

use decryptor_wasm::{
    Envelope, Manifest, UserList, chain::IndexRun, layout::CAPSULE, manifest::Loss, plan::Severity,
    raw::RAW,
};
use jiff::Timestamp;
use serde::Serialize;

use super::verify::{self, without_key::Reads};
use crate::{
    archive::read::{Archive, Folder, outline},
    failure::{Failure, FailureKind},
    findings::{self, companions_hold, sentence},
    observer::{Level, Observer},
    opening::ArchiveOptions,
    progress::Tally,
    secrets::Secrets,
    storage::Location,
    threads,
};

/// Archives in a folder.
#[derive(Debug)]
pub struct ArchiveList {
    /// The archives.
    pub archives: Vec<ListedArchive>,
    /// The worst problem of them.
    pub problem: Option<FailureKind>,
}

/// An archive, as far as it can be seen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedArchive {
    /// Its folder.
    pub path: String,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// `none`, or the mode of the envelope.
    pub encryption: &'static str,
    /// Fingerprints of the public keys.
    pub recipients: Vec<String>,
    /// How many files there are.
    pub files: usize,
    /// And their size.
    pub bytes: u64,
    /// Of a chain: as `chain.json` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<IndexRun>,
    /// The same in words.
    #[serde(skip)]
    pub lines: Vec<String>,
    /// Odd things, such as files that nothing lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Facts that show with the key.
    #[serde(flatten)]
    pub contents: Option<Contents>,
}

/// Facts from the manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// RFC 3339.
    pub made: String,
    /// The tool that made it.
    pub by: String,
    /// `full`, `incremental` or `raw`.
    pub backup_type: &'static str,
    /// The engine of the platform.
    pub engine: String,
    /// Its domain.
    pub domain: String,
    /// The core of it, where the backup names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<String>,
    /// Who signed it, and whether that is somebody who is expected.
    pub signed: String,
    /// How many files of a capsule there are.
    pub capsule: usize,
    /// The users.
    pub users: UserList,
    /// Items that could not be backed up.
    pub losses: Vec<Loss>,
}

/// Looks at the archive in a folder, or at all archives in the folders there.
///
/// # Errors
/// When there is none, or the only one cannot be opened.
pub fn run(options: &ArchiveOptions, observer: &dyn Observer) -> Result<ArchiveList, Failure> {
    let mut secrets = Secrets::new(&options.keys, observer);
    let Some(dir) = options
        .dir
        .folder()
        .filter(|dir| !dir.join("manifest.json").exists() && dir.is_dir())
    else {
        let (listed, problem) = look(&options.dir, options, &secrets, observer)?;
        return Ok(ArchiveList {
            archives: vec![listed],
            problem,
        });
    };
    if options.expect.id.is_some() {
        return Err(Failure::usage(
            "an archive id is that of one backup: give its folder, not one with backups in it",
        ));
    }
    let folders = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(|e| Failure::failed(format!("{}: {e}", dir.display())));
    let mut folders: Vec<PathBuf> = folders?;
    folders.retain(|path| path.join("manifest.json").exists());
    folders.sort();
    if folders.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no archive: give the folder of a backup, or one with backups in it",
            dir.display()
        )));
    }
    let (mut all, mut worst) = (Vec::new(), None);
    for folder in &folders {
        secrets.forget_asked();
        match look(
            &Location::from(folder.as_path()),
            options,
            &secrets,
            observer,
        ) {
            Ok((listed, problem)) => {
                all.push(listed);
                worst = worst.max(problem);
            }
            Err(failure) => {
                let sentence = failure.sentence().clone().about(folder.display());
                observer.tell_sentence(Level::Info, &sentence);
                worst = worst.max(Some(failure.kind()));
            }
        }
    }
    Ok(ArchiveList {
        archives: all,
        problem: worst,
    })
}

fn look(
    dir: &Location,
    options: &ArchiveOptions,
    secrets: &Secrets<'_>,
    observer: &dyn Observer,
) -> Result<(ListedArchive, Option<FailureKind>), Failure> {
    let folder = Folder::at(dir)?;
    let seen = outline(&folder)?;
    if let (Some(lost), false) = (&seen.lost, options.at == Some(1)) {
        return Err(lost.clone().into());
    }
    let files = &seen.listing;
    let sealed = verify::is_sealed(files);
    let demands = options.demands(observer)?;
    demands.storage(sealed)?;
    let envelope = if files.has("encryption.json") {
        Some(Envelope::parse(&folder.read("encryption.json")?)?)
    } else {
        None
    };
    let sequence = seen.runs.as_ref();
    let mut listed = ListedArchive {
        path: dir.to_string(),
        archive_id: String::new(),
        encryption: envelope.as_ref().map_or("none", |e| e.mode().name()),
        recipients: envelope
            .iter()
            .flat_map(|e| e.recipients().iter().map(|r| r.fingerprint.clone()))
            .collect(),
        files: verify::files_of(files).count(),
        bytes: verify::files_of(files).map(|(_, size)| size).sum(),
        runs: sequence
            .iter()
            .flat_map(|l| l.index().runs.clone())
            .collect(),
        lines: sequence.iter().flat_map(|l| l.lines()).collect(),
        warnings: Vec::new(),
        contents: None,
    };
    if sealed && !options.keys.given() {
        let tally = Tally::default();
        let expect_id = options.expect.id.as_deref();
        let jobs = threads::count(None);
        let report = verify::without_key::verify(
            &folder,
            seen,
            Reads::Clear,
            expect_id,
            &demands,
            jobs,
            &tally,
        )?;
        for damaged in &report.damaged {
            observer.damaged(damaged);
        }
        listed.lines.extend(report.notes.iter().cloned());
        let problem = report.problem();
        listed.archive_id = report.archive_id;
        listed.warnings = report.warnings;
        return Ok((listed, problem));
    }
    drop(seen);
    let archive = Archive::open(folder, options.request(demands), |envelope| {
        secrets.unlock(envelope)
    })?;
    listed.archive_id = archive.id().to_owned();
    listed.contents = Some(contents(&archive)?);
    let odd = archive.plan.findings.iter();
    let odd = odd.filter(|finding| finding.severity == Severity::Warning);
    let odd = odd.filter(|finding| !(finding.is_left_out() || finding.names_signer()));
    listed.warnings = odd.map(sentence).collect();
    let problem = match findings::tell(&archive, observer) {
        _ if !companions_hold(&archive, observer) => Some(FailureKind::Damaged),
        problem => problem,
    };
    Ok((listed, problem))
}

fn contents(archive: &Archive) -> Result<Contents, Failure> {
    let manifest: &Manifest = &archive.manifest;
    let by = manifest.producer.as_ref();
    Ok(Contents {
        made: Timestamp::from_millisecond(manifest.backup_timestamp)
            .map_or_else(|_| "unknown".to_owned(), |time| time.to_string()),
        by: by.map_or_else(
            || "Pryv's own tool".to_owned(),
            |p| format!("{} {}", p.name, p.version),
        ),
        backup_type: match archive.raw()? {
            Some(_) => RAW,
            None => manifest.backup_type.name(),
        },
        engine: manifest.config.engine.clone(),
        domain: manifest.config.domain.clone(),
        core: manifest.core.clone(),
        signed: findings::signed(archive).unwrap_or_default().to_owned(),
        capsule: archive.files().below(CAPSULE).len(),
        users: archive.plan.users.clone(),
        losses: manifest.losses.clone(),
    })
}
