//! Reads one file of the state of a chain: the records of its parts that no later run replaces or removes.

use std::sync::Arc;

use super::{
    OpenedArchive, OpenedChain, exchange::misplaced, kept_indexes::IndexKey, run::folder_of,
};
use crate::{
    Code, Error, Result,
    chain::{ChangeIndex, FilePart, MergedManifest, StateFile, StateFiles},
    gather,
    jsonl::{Line, LineSplitter},
    plan::{PlannedFile, check_against_inventory},
    reader::FileSummary,
};

/// A file of the state that is being read. For each [`FileStep`], pass the content of that file to [`StateReading::push`], then call
/// [`StateReading::rest`] and [`StateReading::end`]. What these put out is the content of the file of the state.
pub struct StateReading {
    chain: Arc<OpenedChain>,
    file: StateFile,
    is_manifest: bool,
    hash: bool,
    pass: u64,
    passes: u64,
    /// The next part of the pass.
    part: usize,
    index: Option<Arc<ChangeIndex>>,
    /// An index that is being made.
    building: Option<IndexBuild>,
    lines: LineSplitter,
    /// Of the manifest of a user.
    manifest: Option<ManifestMerge>,
    /// Lines of the part that is being read; bytes and lines of those that are kept.
    seen: (u64, u64, u64),
    all: FileSummary,
}

/// An index while the files of later runs are added to it.
struct IndexBuild {
    index: ChangeIndex,
    /// The number of files of later runs that were read.
    at: usize,
}

/// The manifest of a user, while those of the runs are read.
#[derive(Default)]
struct ManifestMerge {
    merged: MergedManifest,
    /// The content of the one that is being read.
    content: Vec<u8>,
}

/// A file that is to be read, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStep {
    /// The run.
    pub run: u32,
    /// From the root of the chain.
    pub path: String,
    /// Stored bytes, as listed.
    pub size: u64,
    /// The file is opened with the key of the run.
    pub encrypted: bool,
    /// Its content is inflated.
    pub gunzip: bool,
    /// Its lines are checked and counted while it is read.
    pub lines: bool,
    /// The SHA-256 of its stored bytes is computed.
    pub hash: bool,
    /// The content is passed to [`StateReading::push`]; otherwise it is put out as it is.
    pub filtered: bool,
}

impl OpenedArchive {
    /// Begins to read a file of the state of a chain, be it the manifest of a user; `hash`: check the SHA-256 of the stored bytes of
    /// encrypted files too. None for a path that is not one, or an archive by itself.
    pub fn read(&self, path: &str, hash: bool) -> Option<StateReading> {
        let chain = self.chain.as_ref()?;
        let of = |files: &StateFiles| files.get(files.find(path)?);
        let (file, is_manifest) = match of(&chain.files) {
            Some(file) => (file, false),
            None => (of(&chain.manifests)?, true),
        };
        let user = file.user.as_deref().unwrap_or_default();
        let passes = file
            .collection
            .as_ref()
            .map_or(0, |collection| chain.changes.passes(user, collection));
        Some(StateReading {
            part: 0,
            chain: chain.clone(),
            file,
            is_manifest,
            hash,
            pass: 0,
            passes,
            index: None,
            building: None,
            lines: LineSplitter::default(),
            manifest: is_manifest.then(ManifestMerge::default),
            seen: (0, 0, 0),
            all: FileSummary::default(),
        })
    }
}

impl StateReading {
    /// The file to read next; none at the end.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn next_step(&mut self) -> Result<Option<FileStep>> {
        self.lines = LineSplitter::default();
        if self.part >= self.file.parts.len() {
            self.part = 0;
            self.pass += 1;
            self.index = None;
        }
        if self.pass >= self.passes.max(1) {
            return Ok(None);
        }
        if self.passes > 0 && self.index.is_none() {
            self.find_index()?;
            if self.building.is_some() {
                if let Some((_, part)) = self.now() {
                    return Ok(Some(step(&part, true, true)));
                }
                self.keep();
            }
        }
        self.seen = (0, 0, 0);
        let (_, part) = self.now().ok_or_else(misplaced)?;
        let filtered = self.index.is_some() || self.is_manifest;
        Ok(Some(step(&part, self.hash, filtered)))
    }

    /// The next bytes of the content; the records that are kept are appended to `out`.
    ///
    /// # Errors
    /// When a line is not one of the collection.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if let Some(manifest) = &mut self.manifest {
            manifest.content.extend_from_slice(bytes);
            return Ok(());
        }
        let (removed, run) = self.current()?;
        let lines = &mut self.lines;
        if let Some(IndexBuild { index, .. }) = &mut self.building {
            return lines.push(bytes, &mut |line| add(index, removed, run, line));
        }
        let from = out.len();
        let index = self.index.as_ref().ok_or_else(misplaced)?;
        let filtered = lines.push(bytes, &mut |line| keep(index, run, line, out));
        self.count(&out[from..]);
        filtered
    }

    /// The end of the content; the rest of it is appended to `out`.
    ///
    /// # Errors
    /// See [`StateReading::push`].
    pub fn rest(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.is_manifest {
            return self.merge(out);
        }
        let (removed, run) = self.current()?;
        let lines = &mut self.lines;
        if let Some(IndexBuild { index, .. }) = &mut self.building {
            self.seen.0 = lines.finish(&mut |line| add(index, removed, run, line))?;
            return Ok(());
        }
        let from = out.len();
        let index = self.index.as_ref().ok_or_else(misplaced)?;
        let lines = lines.finish(&mut |line| keep(index, run, line, out));
        self.count(&out[from..]);
        self.seen.0 = lines?;
        Ok(())
    }

    /// Adds the manifest of a run; after the last one, the manifest of the state is appended to `out`.
    fn merge(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let (_, run) = self.current()?;
        let mut merge = self.manifest.take().ok_or_else(misplaced)?;
        let (file, files) = (&self.file, &self.chain.files);
        let content = std::mem::take(&mut merge.content);
        merge.merged.add(content, &file.path, &|loss| {
            // Another run brought it.
            let path = loss.path.as_deref();
            path.is_some_and(|path| files.is_brought(path, run))
        })?;
        if self.part + 1 < file.parts.len() {
            self.manifest = Some(merge);
            return Ok(());
        }
        let user = file.user.as_deref().unwrap_or_default();
        let content = merge.merged.finish(&|kind| {
            let folder = format!("users/{user}/{kind}/");
            let own = files.below(&folder);
            gather(own.map(|path| path[folder.len()..].to_owned()))
        })?;
        self.seen.1 = content.len() as u64;
        out.extend_from_slice(&content);
        Ok(())
    }

    /// The run of the file that is being read; true for a file of tombstones.
    fn current(&self) -> Result<(bool, u32)> {
        let now = self.now().map(|(removed, part)| (removed, part.run));
        now.ok_or_else(misplaced)
    }

    fn count(&mut self, out: &[u8]) {
        self.seen.1 += out.len() as u64;
        self.seen.2 += out.iter().filter(|byte| **byte == b'\n').count() as u64;
    }

    /// The end of the file: what was seen of it, and the SHA-256 of its stored bytes.
    ///
    /// # Errors
    /// When it is not the file that the inventory lists.
    pub fn end(&mut self, mut summary: FileSummary, sha256: Option<&str>) -> Result<()> {
        let filtered = self.building.is_some() || self.index.is_some();
        if filtered {
            summary.records = Some(self.seen.0);
        }
        let (_, part) = self.now().ok_or_else(misplaced)?;
        if let Some(expected) = &part.file.expected {
            let decrypted = self.chain.decrypted.contains(&part.run);
            check_against_inventory(expected, &summary, sha256, decrypted)?;
        }
        if let Some(building) = &mut self.building {
            building.at += 1;
            return Ok(());
        }
        if filtered {
            summary.output_size = self.seen.1;
            summary.records = Some(self.seen.2);
        }
        if self.is_manifest {
            summary.output_size = self.seen.1;
        }
        self.part += 1;
        let all = &mut self.all;
        all.stored_size += summary.stored_size;
        all.content_size += summary.content_size;
        all.output_size += summary.output_size;
        if let Some(records) = summary.records {
            *all.records.get_or_insert(0) += records;
        }
        Ok(())
    }

    /// The error to show for one that came of reading the file of the last step.
    pub fn failed(&self, error: Error) -> Error {
        let Some((_, part)) = self.now() else {
            return error;
        };
        error.at(&part.file.path).in_run(part.run)
    }

    /// Sizes and number of records of the whole file, when there is no next step.
    pub fn summary(&self) -> &FileSummary {
        &self.all
    }

    /// The part that is being read, and whether it is of tombstones.
    fn now(&self) -> Option<(bool, FilePart)> {
        let file = &self.file;
        match &self.building {
            Some(building) => {
                let user = file.user.as_deref().unwrap_or_default();
                let collection = file.collection.as_deref().unwrap_or_default();
                self.chain.changes.of(user, collection).nth(building.at)
            }
            None => file.parts.get(self.part).map(|part| (false, part.clone())),
        }
    }

    fn place(&self) -> IndexKey {
        let (file, of) = (&self.file, |text: &Option<String>| text.clone());
        (
            of(&file.user).unwrap_or_default(),
            of(&file.collection).unwrap_or_default(),
            self.pass,
        )
    }

    /// Takes an index that was kept, or begins to make one.
    fn find_index(&mut self) -> Result<()> {
        if self.building.is_some() {
            return Ok(());
        }
        let key = self.chain.key.clone();
        let key = key.ok_or_else(|| Error::of(Code::NoTombstoneKey))?;
        let place = self.place();
        self.index = self.chain.kept.get(&place);
        if self.index.is_none() {
            self.building = Some(IndexBuild {
                index: ChangeIndex::new(key, &place.1, self.pass, self.passes),
                at: 0,
            });
        }
        Ok(())
    }

    /// Keeps the index, which is complete.
    fn keep(&mut self) {
        let Some(mut building) = self.building.take() else {
            return;
        };
        building.index.close();
        let index = Arc::new(building.index);
        self.chain.kept.keep(self.place(), index.clone());
        self.index = Some(index);
    }
}

impl Drop for StateReading {
    fn drop(&mut self) {
        if self.building.is_some() {
            self.chain.kept.give_up(&self.place());
        }
    }
}

/// Adds a line of a later run to an index.
fn add(index: &mut ChangeIndex, removed: bool, run: u32, line: Line<'_>) -> Result<()> {
    let added = match removed {
        true => index.removed(run, line.text),
        false => index.brought(run, line.text),
    };
    added.map_err(|why| line.unreadable(&why))
}

/// Appends a line to `out`, unless a later run replaces or removes it.
fn keep(index: &ChangeIndex, run: u32, line: Line<'_>, out: &mut Vec<u8>) -> Result<()> {
    let kept = index.keep(run, line.text, out);
    kept.map_err(|why| line.unreadable(&why))
}

impl FileStep {
    /// Reads a file of an archive by itself: inflated or as it is; `hash`: check the SHA-256 of the stored bytes of an encrypted file too.
    pub fn of(file: &PlannedFile, gunzip: bool, hash: bool) -> Self {
        let inflated = file.gzip && gunzip;
        FileStep {
            run: 1,
            path: file.path.clone(),
            size: file.size,
            encrypted: file.encrypted,
            gunzip: inflated,
            lines: file.jsonl && (inflated || !file.gzip),
            hash: hash || !file.encrypted,
            filtered: false,
        }
    }
}

fn step(part: &FilePart, hash: bool, filtered: bool) -> FileStep {
    let step = FileStep::of(&part.file, true, hash);
    FileStep {
        run: part.run,
        path: folder_of(part.run) + &part.file.path,
        lines: step.lines && !filtered,
        filtered,
        ..step
    }
}
