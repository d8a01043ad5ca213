//! The files that a change of recipients replaces. Several cannot change at once, so the sums leave them out meanwhile: whenever this
//! ends, they hold, and the next run goes on from there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use decryptor_wasm::{
    Envelope, Error, Result,
    chain::{CHAIN, Index, run_of},
};

use crate::{
    archive::{
        read::Folder,
        sha256_hex,
        sums::{self, Line, Lines, SUMS},
    },
    failure::Failure,
    files,
};

pub const ENVELOPE: &str = "encryption.json";

/// A file as it is to be.
pub struct Target {
    /// From the root.
    path: String,
    bytes: Vec<u8>,
    /// It is not yet.
    changed: bool,
    /// The list of runs does not say what the envelopes say now.
    stale: bool,
}

/// What `SHA256SUMS` lists of the files that may change; none in archives of Pryv's own tool.
pub struct Sums(Option<BTreeMap<String, String>>);

impl Target {
    /// The envelope of a run.
    pub fn envelope(folder: &Folder, run: u32, new: &Envelope, changed: bool) -> Result<Self> {
        let path = match Index::path(run) {
            at if at.is_empty() => ENVELOPE.to_owned(),
            at => format!("{at}/{ENVELOPE}"),
        };
        let bytes = if changed {
            new.to_json()?
        } else {
            folder.read(&path)?
        };
        Ok(Target {
            path,
            bytes,
            changed,
            stale: false,
        })
    }

    /// The list of runs. One that was replaced is not made good by this.
    pub fn index(folder: &Folder, old: &Index, new: &Index, sums: &Sums) -> Result<Self> {
        let stored = folder.read(CHAIN)?;
        if sums.other(CHAIN, &stored) {
            return Err(Error::damaged(format!(
                "{CHAIN} is not the one that {SUMS} lists; it was changed or replaced: nothing was done, use another copy of the backup"
            )));
        }
        let changed = old != new;
        Ok(Target {
            path: CHAIN.to_owned(),
            bytes: if changed { new.to_json()? } else { stored },
            changed,
            stale: changed && sums.lists(CHAIN).is_none(),
        })
    }

    /// Whether a run that was killed has left the list of runs behind.
    pub fn is_stale_index(&self) -> bool {
        self.stale
    }
}

impl Sums {
    /// Reads them.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn read(folder: &Folder) -> Result<Self> {
        if !folder.has(SUMS) {
            return Ok(Sums(None));
        }
        let mut listed = BTreeMap::new();
        for line in folder.sums()? {
            let Line { path, sha256 } = line?;
            let within = run_of(&path).map(|(_, within)| within);
            if path == CHAIN || within == Some(ENVELOPE) {
                listed.insert(path, sha256);
            }
        }
        Ok(Sums(Some(listed)))
    }

    /// The digest that they list of a file.
    fn lists(&self, path: &str) -> Option<&str> {
        let listed = self.0.as_ref()?.get(path);
        listed.map(String::as_str)
    }

    /// Whether they list another file there.
    fn other(&self, path: &str, bytes: &[u8]) -> bool {
        let listed = self.lists(path);
        listed.is_some_and(|sha256| sha256 != sha256_hex(bytes))
    }

    /// Whether a run that was killed has left out one of the files.
    pub fn lacks(&self, targets: &[Target]) -> bool {
        let mut targets = targets.iter();
        self.0.is_some() && targets.any(|target| self.lists(&target.path).is_none())
    }
}

/// Takes away what a run left that was killed.
pub fn sweep(dir: &Path, listing: &[(String, u64)]) -> Result<(), Failure> {
    let left = listing.iter().filter(|(path, _)| is_left(path));
    for (path, _) in left {
        fs::remove_file(dir.join(path)).map_err(|e| failed(dir, path, &e))?;
    }
    Ok(())
}

/// Whether a path, from the root, is one that a run may leave that is killed.
pub fn is_left(path: &str) -> bool {
    let within = run_of(path).map(|(_, within)| within);
    let mut names = [ENVELOPE, SUMS, CHAIN].into_iter();
    within.is_some_and(|within| names.any(|name| *within == aside(name)))
}

/// Replaces what is to change, and completes the sums.
pub fn replace(folder: &Folder, targets: &[Target], listed: &Sums) -> Result<(), Failure> {
    let dir = folder.path();
    let changed = || targets.iter().filter(|target| target.changed);
    if listed.0.is_some() && changed().next().is_some() {
        let stays = |line: &Result<Line>| {
            let line = line.as_ref();
            line.map_or(true, |line| {
                !changed().any(|target| target.path == line.path)
            })
        };
        put_sums(dir, Box::new(folder.sums()?.filter(stays)))?;
    }
    for target in changed() {
        put(dir, &target.path, |file| Ok(file.write_all(&target.bytes)?))?;
    }
    let new = targets.iter();
    let new = new.filter(|target| target.changed || listed.lists(&target.path).is_none());
    let mut new: Vec<Line> = new
        .map(|target| Line::new(&target.path, &sha256_hex(&target.bytes)))
        .collect();
    if listed.0.is_none() || new.is_empty() {
        return Ok(());
    }
    new.sort();
    let new: Lines<'_> = Box::new(new.into_iter().map(Ok));
    put_sums(dir, sums::merge(vec![folder.sums()?, new]))
}

fn put_sums(dir: &Path, lines: Lines<'_>) -> Result<(), Failure> {
    put(dir, SUMS, |out| {
        for line in lines {
            line?.write(out)?;
        }
        Ok(())
    })
}

/// Replaces a file by what `fill` writes.
fn put(
    dir: &Path,
    path: &str,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), Unwritten>,
) -> Result<(), Failure> {
    let place = dir.join(path);
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let aside = place.with_file_name(aside(&name));
    files::replace(&place, &aside, fill).map_err(|e| match e {
        Unwritten::Io(e) => failed(dir, path, &e),
        Unwritten::Core(e) => e.into(),
    })
}

/// Why a file was not replaced.
enum Unwritten {
    Io(io::Error),
    Core(Error),
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

fn aside(name: &str) -> String {
    format!(".{name}.rekey")
}

fn failed(dir: &Path, path: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", dir.join(path).display()))
}
