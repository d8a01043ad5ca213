//! The files of an archive as they are stored, and which of them are read.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use decryptor_wasm::{
    Code, Error, ErrorKind, Field, FileList, Result,
    chain::{Index, run_of},
    layout::{PathKind, refuse_long},
    signature::is_signed_path,
};

use super::{frames, report::Report, sums};
use crate::{
    archive::read::Folder,
    digest,
    failure::Failure,
    interrupt,
    limits::BLOCK,
    progress::Tally,
    schedule,
    threads::{lock, unlocked},
};

/// SHA-256 of files, by their places in the listing.
pub(super) type Digests = Vec<(u32, [u8; 32])>;

/// Files as they are stored, and the digests to compare them with.
pub(super) struct StoredFiles<'a> {
    folder: &'a Folder,
    /// It holds a chain of runs.
    chain: bool,
    tally: &'a Tally,
    with_volumes: &'a BTreeSet<u32>,
    /// Of the files whose digests no sums list.
    digests: Mutex<Digests>,
    damaged: Mutex<Vec<(String, String)>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// Chooses files of an archive, by its id.
pub type Choose<'c> = dyn Fn(&str, &FileList) -> Result<BTreeSet<String>, Failure> + Sync + 'c;

/// Which files are read.
#[derive(Clone, Copy)]
pub enum Reads<'r> {
    /// All.
    All,
    /// Those that lie in the clear.
    Clear,
    /// A part of them, which is chosen from the id of the archive and from the files with their sizes; of what lies in volumes, the volumes.
    Sample(&'r Choose<'r>),
}

/// Kind of a path in the run that it belongs to.
pub(super) fn kind(path: &str, chain: bool) -> PathKind {
    match run_of(path) {
        Some((_, within)) if chain => PathKind::of(within),
        _ => PathKind::of(path),
    }
}

impl<'a> StoredFiles<'a> {
    /// Nothing is read yet.
    pub fn new(
        folder: &'a Folder,
        chain: bool,
        tally: &'a Tally,
        with_volumes: &'a BTreeSet<u32>,
    ) -> Self {
        StoredFiles {
            folder,
            chain,
            tally,
            with_volumes,
            digests: Mutex::default(),
            damaged: Mutex::default(),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Reads files of `listing`, of which `due` are the digests, as far as they are listed; returns those that are not, if all are read.
    pub fn read(
        self,
        listing: &FileList,
        due: &[Option<[u8; 32]>],
        reads: Reads<'_>,
        jobs: usize,
        report: &mut Report,
    ) -> Result<Option<Digests>, Failure> {
        let files = (0..).zip(listing.iter()).map(|(at, (path, size))| {
            let due: Option<&[u8; 32]> = due.get::<usize>(at).and_then(Option::as_ref);
            (at, path, size, due)
        });
        let files = files.filter(|(_, path, _, due)| self.is_read(path, *due, reads));
        let chosen = match reads {
            Reads::Sample(choose) => {
                let of = files.clone().map(|(_, path, size, _)| (path, size));
                Some(choose(&report.archive_id, &of.collect())?)
            }
            _ => None,
        };
        let files = files.filter(|(_, path, ..)| {
            let chosen = chosen.as_ref();
            chosen.is_none_or(|chosen| chosen.contains(path))
        });
        schedule::run(jobs, files, &|(at, path, size, due), _| {
            self.file(at as u32, &path, size, due)
        })?;
        let mut damaged = unlocked(self.damaged);
        damaged.sort();
        for (path, sentence) in damaged {
            report.damaged_paths.push(path);
            report.damaged.push(sentence);
        }
        report.files = self.files.into_inner();
        report.bytes = self.bytes.into_inner();
        Ok(matches!(reads, Reads::All).then(|| unlocked(self.digests)))
    }

    /// Whether a file belongs to the archive and is to be read.
    fn is_read(&self, path: &str, due: Option<&[u8; 32]>, reads: Reads<'_>) -> bool {
        let kind = kind(path, self.chain);
        let ours = due.is_some()
            || !matches!(
                kind,
                PathKind::Stray
                    | PathKind::Sums
                    | PathKind::Chain
                    | PathKind::Signature
                    | PathKind::Volume
            );
        ours && match reads {
            Reads::All => true,
            Reads::Clear => !(kind.is_sealed() || kind == PathKind::Volume),
            // The digest of a file in a volume is known only when all are read.
            Reads::Sample(_) => kind == PathKind::Volume || !self.is_member(path),
        }
    }

    /// Whether a file is sealed: a chain may have begun without encryption.
    fn sealed(&self, path: &str) -> bool {
        let envelope = match run_of(path) {
            Some((run, _)) if self.chain && run > 1 => {
                format!("{}/encryption.json", Index::path(run))
            }
            _ => "encryption.json".to_owned(),
        };
        kind(path, self.chain).is_sealed() && self.folder.has(&envelope)
    }

    /// Whether a file is signed, and of a run with volumes.
    fn is_of_volumes(&self, path: &str) -> bool {
        run_of(path).is_some_and(|(run, within)| {
            self.with_volumes.contains(&run)
                && is_signed_path(within)
                && PathKind::of(within) != PathKind::Stray
        })
    }

    /// Whether it lies in a volume, as far as its path tells.
    fn is_member(&self, path: &str) -> bool {
        self.is_of_volumes(path) && !kind(path, self.chain).is_separate()
    }

    fn file(&self, at: u32, path: &str, size: u64, due: Option<&[u8; 32]>) -> Result<()> {
        match self.look(at, path, size, due) {
            Ok(()) if kind(path, self.chain) == PathKind::Volume => {}
            Ok(()) => {
                self.files.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(size, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                let mut damaged = lock(&self.damaged);
                damaged.push((path.to_owned(), error.at(path).to_string()));
            }
            Err(error) => return Err(error.at(path)),
        }
        Ok(())
    }

    fn look(&self, at: u32, path: &str, size: u64, due: Option<&[u8; 32]>) -> Result<()> {
        if matches!(
            kind(path, self.chain),
            PathKind::Companion | PathKind::Signature
        ) {
            refuse_long(path, size)?;
        }
        let mut file = self.folder.open(path)?;
        // An index may have told another one.
        let size = file.size();
        let of_volumes = self.is_of_volumes(path);
        if due.is_some() || of_volumes {
            let mut buffer = vec![0; BLOCK.min(size.max(4096) as usize)];
            let failed = |e| Error::of(Code::UnreadableFile).at(path).because(&e);
            let digest = digest::sha256(&mut file, &mut buffer, failed, &mut |n| {
                self.tally.add(0, n as u64);
                interrupt::check()
            })?;
            if of_volumes {
                lock(&self.digests).push((at, digest));
            }
            if due.is_some_and(|due| digest != *due) {
                return Err(Error::of(Code::DigestDiffers).with(Field::Found, sums::NAME));
            }
        } else {
            self.tally.add(0, size);
        }
        if self.sealed(path) {
            frames::check(&mut file, size, path)?;
        }
        Ok(())
    }
}
