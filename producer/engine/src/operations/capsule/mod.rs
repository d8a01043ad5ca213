//! `capsule`: what a new host needs beside the data of a platform. A backup takes it along; here it is saved from one. A restore never writes it.

mod names;
mod record;
mod taking;
mod versions;

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use decryptor_wasm::{
    Code, Error, Field,
    layout::{CAPSULE, PathKind, collision},
    manifest::Loss,
    open::OpenedArchive,
    plan::{PlannedFile, Severity},
};
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::names::StoredNames;
use self::record::RECORD;
pub use self::record::{CapsuleFile, CapsuleLink, CapsuleRecord, RunningVersion};
use self::taking::TakenCapsule;
use super::decrypt::output::{OutputFolder, require_empty};
use crate::{
    advice::Advice,
    archive::{ArchiveWriter, read::Archive},
    config::{Config, KeptApart},
    failure::{Failure, FailureKind},
    findings::{self, sentence},
    folders::{refuse_inside, require_parent},
    installation::Installation,
    interrupt,
    limits::MAX_CAPSULE_RECORD,
    observer::Observer,
    opening::ArchiveOptions,
    platform::PlatformMode,
};

/// The archive, and where its capsule is saved.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive.
    pub opening: ArchiveOptions,
    /// New or empty folder.
    pub out: PathBuf,
    /// Make the folders above it too.
    pub create_parents: bool,
}

/// What a capsule holds, for the report of a backup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapsuleContents {
    /// The programs that ran.
    pub versions: BTreeMap<String, RunningVersion>,
    /// The last migration of each database.
    pub migrations: BTreeMap<String, RunningVersion>,
    /// The files.
    pub files: Vec<CapsuleFile>,
    /// Places that are not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// What could not be taken, for the manifest.
    #[serde(skip)]
    pub losses: Vec<Loss>,
    /// What a restored platform needs and this capsule does not hold.
    #[serde(skip)]
    pub not_held: Vec<String>,
}

/// Takes the capsule of a platform into a backup of it. `taken_at`: the moment, in milliseconds since 1970; `migration`: the number that the
/// database of the records tells.
///
/// # Errors
/// When the backup cannot be written.
pub fn take(
    archive: &mut ArchiveWriter,
    (installation, config): (&Installation, &Config),
    mode: PlatformMode,
    migration: Option<u32>,
    taken_at: i64,
) -> Result<CapsuleContents, Failure> {
    let record = CapsuleRecord {
        v: 1,
        taken_at,
        versions: versions::programs(config, &installation.root, mode),
        migrations: versions::migrations(config, mode, migration),
        ..CapsuleRecord::default()
    };
    let taken = taking::take(archive, config, record)?;
    let not_held = not_held(&taken, &config.kept_apart);
    Ok(CapsuleContents {
        versions: taken.record.versions,
        migrations: taken.record.migrations,
        files: taken.record.files,
        absent: taken.record.absent,
        losses: taken.losses,
        not_held,
    })
}

fn not_held(taken: &TakenCapsule, apart: &[KeptApart]) -> Vec<String> {
    let apart = apart.iter().filter(|one| !taken.holds(&one.place));
    apart.map(|one| one.name.clone()).collect()
}

/// A capsule that was saved.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedCapsule {
    /// Always `report`.
    pub event: &'static str,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// Of a chain: the run that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// Who signed the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// The folder.
    pub output: String,
    /// Bytes of all files.
    pub bytes: u64,
    /// What it says of itself.
    #[serde(flatten)]
    pub record: CapsuleRecord,
    /// Whole run.
    pub seconds: f64,
}

impl SavedCapsule {
    /// Whether something was lost when it was taken.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        (!self.record.losses.is_empty()).then_some(FailureKind::Losses)
    }
}

/// Whether an archive, or the state of a chain, holds a capsule.
#[must_use]
pub fn is_in(archive: &OpenedArchive) -> bool {
    !archive.files().below(CAPSULE).is_empty()
}

/// Saves the capsule of an archive, or that of the newest run in a state that has one.
///
/// # Errors
/// When there is none, it is damaged, or it cannot be written.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<SavedCapsule, Failure> {
    let started = Instant::now();
    refuse_inside(&options.opening.dir, &options.out.as_path().into())?;
    require_parent(&options.out, options.create_parents)?;
    require_empty(&options.out)?;
    let archive = options.opening.open(observer)?;
    let files = archive.files();
    let files: Vec<PlannedFile> = files.within(files.below(CAPSULE)).collect();
    require_sound(&archive, &files)?;
    if files.is_empty() {
        return Err(Failure::usage("this backup holds no capsule").advise(Advice::TakeCapsule));
    }
    let _graceful = interrupt::finish_gracefully();
    let output = OutputFolder::create(&options.out, false, true)?;
    let saved = save(&archive, &files, &output);
    let (record, bytes) = match saved {
        Ok(saved) => saved,
        Err(failure) => {
            output.abandon();
            Failure::unless_interrupted()?;
            return Err(failure);
        }
    };
    output.finish()?;
    Ok(SavedCapsule {
        event: "report",
        archive_id: archive.id().to_owned(),
        run: archive.brought_by(RECORD),
        signed: findings::signed(&archive).map(str::to_owned),
        output: options.out.display().to_string(),
        bytes,
        record,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Refuses a capsule of which something is wrong before it is read: names that may not be written, files that are missing or were added.
fn require_sound(archive: &Archive, files: &[PlannedFile]) -> Result<(), Failure> {
    let mut wrong = archive.plan.findings.iter();
    // What is wrong with a file of a user concerns that user.
    let wrong = wrong.find(|finding| {
        finding.severity == Severity::Error && PathKind::of(&finding.path).user().is_none()
    });
    if let Some(finding) = wrong {
        return Err(Failure::damaged(format!(
            "{}; nothing was saved: use another copy of the backup",
            sentence(finding)
        )));
    }
    let names = files
        .iter()
        .map(|file| (file.path.as_str(), file.path.as_str()));
    match collision(names, true) {
        None => Ok(()),
        Some([one, other]) => Err(Failure::damaged(format!(
            "{one} and {other} are one file where upper and lower case are the same; nothing was saved: no such backup was made by pryv-backup"
        ))),
    }
}

/// Refuses a record that is none of ours: it is read whole.
fn refuse_large(record: &PlannedFile) -> Result<(), Failure> {
    match record.size > MAX_CAPSULE_RECORD {
        true => Err(Error::of(Code::FileTooLarge)
            .at(&record.path)
            .with(Field::Limit, MAX_CAPSULE_RECORD)
            .into()),
        false => Ok(()),
    }
}

/// Writes all files aside; the record, which is returned, comes last.
fn save(
    archive: &Archive,
    files: &[PlannedFile],
    output: &OutputFolder,
) -> Result<(CapsuleRecord, u64), Failure> {
    let (mut record, mut bytes) = (None, 0);
    let is_record = |file: &&PlannedFile| file.path == RECORD;
    let others = files.iter().filter(|file| !is_record(file));
    for file in others.chain(files.iter().filter(is_record)) {
        if file.path == RECORD {
            refuse_large(file)?;
        }
        let mut out = output.file(file.path.strip_prefix(CAPSULE).unwrap_or_default())?;
        let mut content = Vec::new();
        archive.stream::<Error>(file, false, true, &mut |piece| {
            interrupt::check()?;
            bytes += piece.len() as u64;
            if file.path == RECORD {
                content.extend_from_slice(piece);
            }
            out.write(piece)
        })?;
        out.commit()?;
        if file.path == RECORD {
            // A struct would be read from a list too.
            let read = serde_json::from_slice::<Map<String, Value>>(&content);
            let read = read.and_then(|read| serde_json::from_value(read.into()));
            record = Some(read.map_err(|e| Failure::damaged(format!("{RECORD}: {e}")))?);
        }
    }
    let record = record.ok_or_else(|| Failure::damaged(format!("{RECORD} is missing")))?;
    Ok((record, bytes))
}
