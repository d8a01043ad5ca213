//! Replacing files that `SHA256SUMS` lists. Two files cannot change at the same instant, so the sums leave a file out while it is
//! replaced: however the process ends, every line of the sums is true, and the next run adds what is missing.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use decryptor_wasm::{
    Error, Result,
    chain::{CHAIN, run_of},
    layout::{ENVELOPE, SUMS},
};
use sha2::{Digest, Sha256};

use super::{
    read::Folder,
    sums::{self, SumLine, SumLines},
};
use crate::{digest::sha256_hex, files, storage::StoreError};

/// Who replaces files. Each writes them under names of its own first, which stay behind when it is killed.
#[derive(Clone, Copy)]
pub enum Replacer {
    /// A backup, which adds a run to a chain.
    Backup,
    /// A change of recipients.
    Rekey,
}

impl Replacer {
    /// Name under which a file is written before it takes the place of the file `name`.
    #[must_use]
    pub fn temporary(self, name: &str) -> String {
        let ending = match self {
            Replacer::Backup => "new",
            Replacer::Rekey => "rekey",
        };
        format!(".{name}.{ending}")
    }

    /// Whether the path, from the root of an archive, is such a temporary file.
    #[must_use]
    pub fn is_leftover(self, path: &str) -> bool {
        let among = |within: &str, names: &[&str]| {
            let mut names = names.iter();
            names.any(|name| within == self.temporary(name))
        };
        match self {
            Replacer::Backup => among(path, &[CHAIN, SUMS]),
            Replacer::Rekey => {
                run_of(path).is_some_and(|(_, within)| among(within, &[ENVELOPE, SUMS, CHAIN]))
            }
        }
    }
}

/// A file whose line in the sums is written anew.
pub struct ListedFile<'a> {
    /// Path from the root of the archive.
    pub path: &'a str,
    /// Content.
    pub bytes: &'a [u8],
    /// Whether the file on the disk is to be replaced; otherwise it holds these bytes already.
    pub replace: bool,
}

/// A change of an archive on the disk, or of a run of one in a store.
pub struct Replacement<'a> {
    /// Root of the archive.
    pub folder: &'a Folder,
    /// Who makes the change.
    pub by: Replacer,
    /// The files, in any order.
    pub files: &'a [ListedFile<'a>],
    /// Which lines of the sums stay, beside those of `files`.
    pub keep: &'a dyn Fn(&SumLine) -> bool,
    /// Lines that are added to the sums.
    pub add: SumLines<'a>,
}

/// Why files were not replaced.
#[derive(Debug)]
pub enum ReplaceError {
    /// The system refused a file.
    Io(PathBuf, io::Error),
    /// The sums cannot be read.
    Core(Error),
    /// The object store refused one.
    Store(StoreError),
}

impl Replacement<'_> {
    /// Replaces the files and completes the sums.
    ///
    /// # Errors
    /// When the sums are damaged or the system refuses. What is there then is valid.
    pub fn run(self) -> Result<(), ReplaceError> {
        let replaced = || self.files.iter().filter(|file| file.replace);
        let mut add = Some(self.add);
        let mut rewrite = |listed: &dyn Fn(&str) -> bool, new: Vec<SumLine>| {
            let stays = |line: &Result<SumLine>| {
                let line = line.as_ref();
                line.map_or(true, |line| !listed(&line.path) && (self.keep)(line))
            };
            let folder = self.folder.again();
            let old: SumLines<'_> = Box::new(folder.own_sums()?.filter(stays));
            let new: SumLines<'_> = Box::new(new.into_iter().map(Ok));
            let add: SumLines<'_> = match add.take() {
                Some(add) => add,
                None => none(),
            };
            let lines = sums::merge(vec![old, new, add]);
            put(&folder, self.by, SUMS, |out| {
                for line in lines {
                    line?.write(out)?;
                }
                Ok(())
            })
        };
        if replaced().next().is_some() {
            rewrite(&|path| replaced().any(|file| file.path == path), Vec::new())?;
        }
        for file in replaced() {
            replace_file(self.folder, self.by, file.path, file.bytes)?;
        }
        let mut new: Vec<SumLine> = self
            .files
            .iter()
            .map(|file| SumLine::new(file.path, &sha256_hex(file.bytes)))
            .collect();
        new.sort();
        rewrite(&|path| self.files.iter().any(|file| file.path == path), new)
    }
}

/// Replaces one file, whatever the sums say.
///
/// # Errors
/// When the system refuses.
pub fn replace_file(
    folder: &Folder,
    by: Replacer,
    path: &str,
    bytes: &[u8],
) -> Result<(), ReplaceError> {
    put(folder, by, path, |out| Ok(out.write_all(bytes)?))
}

/// No lines.
#[must_use]
pub fn none() -> SumLines<'static> {
    Box::new(std::iter::empty())
}

/// Replaces a file by what `fill` writes.
fn put(
    folder: &Folder,
    by: Replacer,
    path: &str,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), Unwritten>,
) -> Result<(), ReplaceError> {
    if let Some(mut upload) = folder.upload(path)? {
        let mut bytes = Vec::new();
        fill(&mut bytes).map_err(|e| e.at(folder.path().join(path)))?;
        let sent = upload.write(&bytes);
        let sent = sent.and_then(|()| upload.finish(&Sha256::digest(&bytes).into()));
        return sent.map_err(ReplaceError::Store);
    }
    let place = folder.path().join(path);
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let temporary = place.with_file_name(by.temporary(&name));
    files::replace(&place, &temporary, |out| fill(out)).map_err(|e| e.at(place))
}

/// Why a file was not written, before its path is known.
enum Unwritten {
    Io(io::Error),
    Core(Error),
}

impl Unwritten {
    fn at(self, place: PathBuf) -> ReplaceError {
        match self {
            Unwritten::Io(e) => ReplaceError::Io(place, e),
            Unwritten::Core(e) => ReplaceError::Core(e),
        }
    }
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Unwritten::Io(error)
    }
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Unwritten::Core(error)
    }
}

impl From<Error> for ReplaceError {
    fn from(error: Error) -> Self {
        ReplaceError::Core(error)
    }
}
