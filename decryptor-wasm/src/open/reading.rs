//! Reads one file of the state of a chain: its parts, as far as later runs let their records stand.

use std::sync::{Arc, PoisonError};

use super::{OpenedArchive, StateOfChain, desk::misplaced, run::folder_of};
use crate::{
    Code, Error, Result,
    chain::{Cutter, Fold, Part, Sieve, StateFile},
    plan::judge,
    reader::FileSummary,
};

/// Folds that are kept for whoever reads the next file of the same collection: several threads may do so natively.
const KEPT: usize = if cfg!(target_arch = "wasm32") { 1 } else { 8 };

/// A file of the state that is being read. For each [`Step`], pass the content of that file to [`Reading::push`], then call
/// [`Reading::rest`] and [`Reading::end`]. What these put out is the content of the file of the state.
pub struct Reading {
    chain: Arc<StateOfChain>,
    /// Which of the state's files.
    file: usize,
    hash: bool,
    pass: u64,
    passes: u64,
    /// The next part of the pass.
    part: usize,
    fold: Option<Arc<Fold>>,
    /// A fold that is being made.
    making: Option<Making>,
    sieve: Sieve,
    /// Lines of the part that is being read, and what stands of them: bytes, lines.
    seen: (u64, u64, u64),
    all: FileSummary,
}

/// A fold that is told what later runs say.
struct Making {
    fold: Fold,
    /// How many of the files that say something were read.
    at: usize,
    lines: Cutter,
}

/// A file of a run that is to be read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The run.
    pub run: u32,
    /// From the root of the chain.
    pub path: String,
    /// Stored bytes, as listed.
    pub size: u64,
    /// Whether it opens with the key of the run.
    pub encrypted: bool,
    /// Whether its content is to be inflated.
    pub gunzip: bool,
    /// Whether its lines are to be checked and counted while it is read.
    pub lines: bool,
    /// Whether the SHA-256 of its stored bytes is needed.
    pub hash: bool,
    /// Whether the content goes through [`Reading::push`]; else all of it stands, and is put out as it is.
    pub sifted: bool,
}

impl OpenedArchive {
    /// Begins to read a file of the state of a chain; `hash`: check the SHA-256 of the stored bytes of encrypted files too. None for a
    /// path that is not one, or an archive by itself.
    pub fn read(&self, path: &str, hash: bool) -> Option<Reading> {
        let chain = self.chain.as_ref()?;
        let files = &chain.files;
        let at = files
            .binary_search_by(|file| file.path.as_str().cmp(path))
            .ok()?;
        let file = &files[at];
        let user = file.user.as_deref().unwrap_or_default();
        let passes = file
            .collection
            .as_ref()
            .map_or(0, |collection| chain.changes.passes(user, collection));
        Some(Reading {
            part: match file.collection {
                // An id never gets other content: the last part is the file.
                None => file.parts.len().saturating_sub(1),
                Some(_) => 0,
            },
            chain: chain.clone(),
            file: at,
            hash,
            pass: 0,
            passes,
            fold: None,
            making: None,
            sieve: Sieve::default(),
            seen: (0, 0, 0),
            all: FileSummary::default(),
        })
    }
}

impl Reading {
    /// The file to read next; none at the end.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn next_step(&mut self) -> Result<Option<Step>> {
        if self.part >= self.file().parts.len() {
            self.part = 0;
            self.pass += 1;
            self.fold = None;
        }
        if self.pass >= self.passes.max(1) {
            return Ok(None);
        }
        if self.passes > 0 && self.fold.is_none() {
            self.find_fold()?;
            if self.making.is_some() {
                if let Some((_, part)) = self.now() {
                    return Ok(Some(step(part, true, true)));
                }
                self.keep();
            }
        }
        self.seen = (0, 0, 0);
        self.sieve = Sieve::default();
        let (_, part) = self.now().ok_or_else(misplaced)?;
        Ok(Some(step(part, self.hash, self.fold.is_some())))
    }

    /// The next bytes of the content; what stands of them is appended to `out`.
    ///
    /// # Errors
    /// When a line is not one of the collection.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let (removed, run) = self.told()?;
        if let Some(Making { fold, lines, .. }) = &mut self.making {
            return lines.push(bytes, &mut |line| tell(fold, removed, run, line));
        }
        let from = out.len();
        let fold = self.fold.as_ref().ok_or_else(misplaced)?;
        let sifted = self.sieve.push(fold, run, bytes, out);
        self.count(&out[from..]);
        sifted
    }

    /// The end of the content; what is left of it is appended to `out`.
    ///
    /// # Errors
    /// See [`Reading::push`].
    pub fn rest(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let (removed, run) = self.told()?;
        if let Some(Making { fold, lines, .. }) = &mut self.making {
            self.seen.0 = lines.finish(&mut |line| tell(fold, removed, run, line))?;
            return Ok(());
        }
        let from = out.len();
        let fold = self.fold.as_ref().ok_or_else(misplaced)?;
        let lines = self.sieve.finish(fold, run, out);
        self.count(&out[from..]);
        self.seen.0 = lines?;
        Ok(())
    }

    /// Whether the file that is read is of tombstones, and its run.
    fn told(&self) -> Result<(bool, u32)> {
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
        let sifted = self.making.is_some() || self.fold.is_some();
        if sifted {
            summary.records = Some(self.seen.0);
        }
        let (_, part) = self.now().ok_or_else(misplaced)?;
        if let Some(expected) = &part.file.expected {
            let decrypted = self.chain.decrypted.contains(&part.run);
            judge(expected, &summary, sha256, decrypted)?;
        }
        if let Some(making) = &mut self.making {
            making.at += 1;
            return Ok(());
        }
        if sifted {
            summary.output_size = self.seen.1;
            summary.records = Some(self.seen.2);
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
        error.within(&part.file.path).in_run(part.run)
    }

    /// What was seen of the whole, when there is no next step.
    pub fn summary(&self) -> &FileSummary {
        &self.all
    }

    fn file(&self) -> &StateFile {
        &self.chain.files[self.file]
    }

    /// The part that is being read, and whether it is of tombstones.
    fn now(&self) -> Option<(bool, &Part)> {
        let file = self.file();
        match &self.making {
            Some(making) => {
                let user = file.user.as_deref().unwrap_or_default();
                let collection = file.collection.as_deref().unwrap_or_default();
                self.chain.changes.of(user, collection).nth(making.at)
            }
            None => file.parts.get(self.part).map(|part| (false, part)),
        }
    }

    fn place(&self) -> (String, String, u64) {
        let (file, of) = (self.file(), |text: &Option<String>| text.clone());
        (
            of(&file.user).unwrap_or_default(),
            of(&file.collection).unwrap_or_default(),
            self.pass,
        )
    }

    /// Takes a fold that was kept, or begins to make one.
    fn find_fold(&mut self) -> Result<()> {
        if self.making.is_some() {
            return Ok(());
        }
        let place = self.place();
        let kept = self.chain.folds.lock();
        let kept = kept.unwrap_or_else(PoisonError::into_inner);
        if let Some((_, fold)) = kept.iter().find(|(known, _)| *known == place) {
            self.fold = Some(fold.clone());
            return Ok(());
        }
        let key = self.chain.key.clone();
        let key = key.ok_or_else(|| Error::of(Code::NoTombstoneKey))?;
        self.making = Some(Making {
            fold: Fold::new(key, &place.1, self.pass, self.passes),
            at: 0,
            lines: Cutter::default(),
        });
        Ok(())
    }

    /// The fold is made.
    fn keep(&mut self) {
        let Some(mut making) = self.making.take() else {
            return;
        };
        making.fold.close();
        let fold = Arc::new(making.fold);
        let kept = self.chain.folds.lock();
        let mut kept = kept.unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((self.place(), fold.clone()));
        drop(kept);
        self.fold = Some(fold);
    }
}

fn tell(fold: &mut Fold, removed: bool, run: u32, line: &[u8]) -> Result<()> {
    match removed {
        true => fold.removed(run, line),
        false => fold.brought(run, line),
    }
}

fn step(part: &Part, hash: bool, sifted: bool) -> Step {
    let file = &part.file;
    Step {
        run: part.run,
        path: folder_of(part.run) + &file.path,
        size: file.size,
        encrypted: file.encrypted,
        gunzip: file.gzip,
        lines: file.jsonl && !sifted,
        hash: hash || !file.encrypted,
        sifted,
    }
}
