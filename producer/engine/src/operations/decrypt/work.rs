//! The work on the files of an archive, several at once.

use std::collections::HashSet;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use decryptor_wasm::{
    Error, ErrorKind, Result, plain_manifest,
    plan::{PlannedFile, Severity},
    reader::FileSummary,
};

use super::{
    Options,
    output::{OutputFile, OutputFolder},
};
use crate::threads::lock;
use crate::{
    archive::read::{Archive, GunzipCheck},
    failure::Failure,
    findings::sentence,
    interrupt,
    progress::Tally,
    threads::{self},
};

/// The files to read, and where to.
pub struct FileWork<'a> {
    archive: &'a Archive,
    args: &'a Options,
    tally: &'a Tally,
}

/// Outcome of a decryption.
#[derive(Debug, Default)]
pub struct Decrypted {
    /// `verified` or `decrypted`.
    pub verb: &'static str,
    /// Files that are good.
    pub files: u64,
    /// Bytes put out.
    pub bytes: u64,
    /// JSON lines counted.
    pub records: u64,
    /// A sentence for every affected file.
    pub damaged: Vec<String>,
    /// Files that hold what came before a damage.
    pub salvaged: Vec<String>,
    /// Nothing is to be written if anything is damaged, and something is.
    pub nothing_written: bool,
}

impl Decrypted {
    /// Adds a file that is good.
    fn add(&mut self, summary: &FileSummary) {
        self.files += 1;
        self.bytes += summary.output_size;
        self.records += summary.records.unwrap_or(0);
    }
}

/// Outcome of one file.
#[derive(Default)]
struct FileOutcome {
    summary: Option<FileSummary>,
    damage: Option<String>,
    salvaged: Option<String>,
}

impl<'a> FileWork<'a> {
    /// Work on `archive` as the options ask.
    pub fn new(archive: &'a Archive, args: &'a Options, tally: &'a Tally) -> Self {
        FileWork {
            archive,
            args,
            tally,
        }
    }

    /// Reads every file and checks all that can be checked, the SHA-256 of the stored bytes included.
    pub fn verify(&self) -> Result<Decrypted, Failure> {
        let mut outcome = self.start("verified");
        let shown = |piece: &[u8]| self.shown(piece);
        self.each_file(self.archive.files().iter(), &mut outcome, &|file| {
            let summary = self.archive.stream(file, true, true, &mut { shown })?;
            Ok(FileOutcome {
                summary: Some(summary),
                ..FileOutcome::default()
            })
        })?;
        // They were read when the archive was opened.
        outcome.files += self.user_manifests().count() as u64 + 1;
        Ok(outcome)
    }

    /// Decrypts every file into the output.
    pub fn write(&self, output: &OutputFolder) -> Result<Decrypted, Failure> {
        let mut outcome = self.start("decrypted");
        output.require_distinct(self.archive, self.args.gunzip)?;
        let stop = |outcome: &Decrypted| self.args.is_strict() && !outcome.damaged.is_empty();
        if !stop(&outcome) {
            let files = self.archive.files().iter();
            self.each_file(files, &mut outcome, &|file| self.write_file(file, output))?;
        }
        if !stop(&outcome) {
            self.each_file(self.user_manifests(), &mut outcome, &|file| {
                let content = self.archive.content_of(file)?;
                self.write_manifest(&file.path, &content, output)
            })?;
        }
        // The last one, so that it stands for a complete tree.
        if !stop(&outcome) {
            let content = self.archive.manifest_json()?;
            self.write_manifest("manifest.json", &content, output)?;
            outcome.files += 1;
        }
        outcome.nothing_written = stop(&outcome);
        Ok(outcome)
    }

    fn write_manifest(
        &self,
        path: &str,
        content: &[u8],
        output: &OutputFolder,
    ) -> Result<FileOutcome> {
        let mut file = output.file(path)?;
        // Those of a state are plain already.
        if self.args.gunzip && self.archive.chain.is_none() {
            file.write(&plain_manifest(content)?)?;
        } else {
            file.write(content)?;
        }
        file.commit()?;
        Ok(FileOutcome {
            summary: Some(FileSummary::default()),
            ..FileOutcome::default()
        })
    }

    fn write_file(&self, file: &PlannedFile, output: &OutputFolder) -> Result<FileOutcome> {
        if self.archive.is_encrypted() && !file.encrypted {
            // The decryptor and its instructions are checked, but are no part of the data.
            self.archive
                .stream::<Error>(file, false, true, &mut |_| Ok(()))?;
            return Ok(FileOutcome::default());
        }
        let gunzip = self.args.gunzip && file.gzip;
        let mut out = output.file(file.output_name(self.args.gunzip))?;
        // Without an inventory only the end of the gzip data shows that nothing was cut off.
        let mut inflation =
            (file.gzip && !gunzip && file.expected.is_none()).then(|| GunzipCheck::new(file.jsonl));
        let mut written = 0;
        let mut read = || {
            let summary = self.archive.stream(file, gunzip, false, &mut |piece| {
                out.write(piece)?;
                written += piece.len();
                if let Some(check) = &mut inflation {
                    check.push(piece).map_err(|e| e.at(&file.path))?;
                }
                self.shown(piece)
            })?;
            if let Some(check) = &mut inflation {
                check.finish().map_err(|e| e.at(&file.path))?;
            }
            Ok(summary)
        };
        match read() {
            Ok(summary) => {
                out.commit()?;
                Ok(FileOutcome {
                    summary: Some(summary),
                    ..FileOutcome::default()
                })
            }
            Err(error) => self.give_up(error, out, written),
        }
    }

    fn give_up(&self, error: Error, out: OutputFile<'_>, written: usize) -> Result<FileOutcome> {
        if self.args.salvage && written > 0 && error.kind() == ErrorKind::Damaged {
            return Ok(FileOutcome {
                damage: Some(error.to_string()),
                salvaged: Some(out.salvage()?),
                ..FileOutcome::default()
            });
        }
        out.discard();
        Err(error)
    }

    fn shown(&self, piece: &[u8]) -> Result<()> {
        self.tally.add(0, piece.len() as u64);
        interrupt::check()
    }

    /// The manifests of the users, but for those that something is wrong with.
    fn user_manifests(&self) -> impl Iterator<Item = PlannedFile> {
        let plan = &self.archive.plan;
        let wrong = plan
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Error);
        let wrong: HashSet<&str> = wrong.map(|finding| finding.path.as_str()).collect();
        let manifests = plan.manifests.iter();
        manifests.filter(move |file| !wrong.contains(file.path.as_str()))
    }

    fn start(&self, verb: &'static str) -> Decrypted {
        let errors = self.archive.plan.findings.iter();
        Decrypted {
            verb,
            damaged: errors
                .filter(|f| f.severity == Severity::Error)
                .map(sentence)
                .collect(),
            ..Decrypted::default()
        }
    }

    /// Gives every file its turn. Damage is noted, in the order of the files; anything else ends the run.
    fn each_file(
        &self,
        files: impl Iterator<Item = PlannedFile> + Send,
        outcome: &mut Decrypted,
        action: &(dyn Fn(&PlannedFile) -> Result<FileOutcome> + Sync),
    ) -> Result<(), Failure> {
        let next = Mutex::new(files.enumerate());
        let stop = AtomicBool::new(false);
        // Of files that are whole, only their sums are kept.
        let counted = Mutex::new(&mut *outcome);
        let results: Mutex<Vec<(usize, FileOutcome)>> = Mutex::default();
        let failure: Mutex<Option<Error>> = Mutex::default();
        let most = self.archive.files().len().max(1);
        threads::share(threads::count(self.args.jobs).min(most), || {
            while let Some((index, file)) = {
                let mut next = lock(&next);
                next.next()
            } {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let done = match action(&file) {
                    Ok(done) => done,
                    Err(error) if error.kind() == ErrorKind::Damaged => FileOutcome {
                        damage: Some(error.to_string()),
                        ..FileOutcome::default()
                    },
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        lock(&failure).get_or_insert(error);
                        break;
                    }
                };
                if self.args.is_strict() && done.damage.is_some() {
                    stop.store(true, Ordering::Relaxed);
                }
                if let Some(summary) = &done.summary {
                    lock(&counted).add(summary);
                }
                if done.damage.is_some() || done.salvaged.is_some() {
                    lock(&results).push((index, done));
                }
            }
        });
        Failure::unless_interrupted()?;
        if let Some(error) = lock(&failure).take() {
            return Err(error.into());
        }
        let mut results = std::mem::take(&mut *lock(&results));
        results.sort_by_key(|(index, _)| *index);
        for (_, done) in results {
            let last = self.args.is_strict() && done.damage.is_some();
            // Of a chain, several files of the state may need the one that is damaged.
            let new = |damage: &String| !outcome.damaged.contains(damage);
            let damage = done.damage.filter(new);
            outcome.damaged.extend(damage);
            outcome.salvaged.extend(done.salvaged);
            if last {
                // Which later files are known to be damaged too depends on which thread was faster.
                break;
            }
        }
        Ok(())
    }
}
