//! The files that a change of recipients replaces. Several cannot change at once, so the sums leave them out meanwhile: whenever this
//! ends, they hold, and the next run goes on from there.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    Envelope, Error, Result,
    chain::{CHAIN, Index, summed},
};

use crate::{
    archive::{read::Folder, sha256_hex},
    failure::Failure,
    files,
};

pub const ENVELOPE: &str = "encryption.json";
const SUMS: &str = "SHA256SUMS";

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

/// `SHA256SUMS` as it is; none in archives of Pryv's own tool.
pub struct Sums(Option<String>);

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
    pub fn read(dir: &Path) -> Result<Self, Failure> {
        match fs::read_to_string(dir.join(SUMS)) {
            Ok(text) => Ok(Sums(Some(text))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Sums(None)),
            Err(e) => Err(failed(dir, SUMS, &e)),
        }
    }

    /// The line of a file.
    fn lists(&self, path: &str) -> Option<&str> {
        let mut lines = self.0.iter().flat_map(|text| text.lines());
        lines.find(|line| summed(line) == Some(path))
    }

    /// Whether they list another file there.
    fn other(&self, path: &str, bytes: &[u8]) -> bool {
        let line = self.lists(path);
        line.is_some_and(|line| !line.starts_with(&sha256_hex(bytes)))
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
    let within = decryptor_wasm::chain::run_of(path).map(|(_, within)| within);
    let mut names = [ENVELOPE, SUMS, CHAIN].into_iter();
    within.is_some_and(|within| names.any(|name| *within == aside(name)))
}

/// Replaces what is to change, and completes the sums.
pub fn replace(dir: &Path, targets: &[Target], sums: &Sums) -> Result<(), Failure> {
    let changed = || targets.iter().filter(|target| target.changed);
    let kept: Option<String> = sums.0.as_ref().map(|text| {
        let stays = |line: &&str| !changed().any(|t| summed(line) == Some(t.path.as_str()));
        text.split_inclusive('\n').filter(stays).collect()
    });
    if let (Some(kept), true) = (&kept, changed().next().is_some()) {
        put(dir, SUMS, kept.as_bytes())?;
    }
    for target in changed() {
        put(dir, &target.path, &target.bytes)?;
    }
    let Some(all) = kept else {
        return Ok(());
    };
    let before = Sums(Some(all.clone()));
    let new = targets.iter();
    let new = new.filter(|target| before.lists(&target.path).is_none());
    let new: Vec<String> = new
        .map(|target| format!("{}  {}\n", sha256_hex(&target.bytes), target.path))
        .collect();
    let mut lines: Vec<&str> = all.split_inclusive('\n').collect();
    lines.extend(new.iter().map(String::as_str));
    // They are kept in the order of their paths.
    lines.sort_by_key(|line| summed(line));
    let all = lines.concat();
    if Some(&all) == sums.0.as_ref() {
        return Ok(());
    }
    put(dir, SUMS, all.as_bytes())
}

/// Replaces a file: whoever looks sees the old one or the new one, also after a loss of power.
fn put(dir: &Path, path: &str, bytes: &[u8]) -> Result<(), Failure> {
    let place = dir.join(path);
    let folder = place.parent().unwrap_or(dir);
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let aside: PathBuf = folder.join(aside(&name));
    let write = || -> io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::metadata(&place)?.permissions())?;
        files::store(file)?;
        fs::rename(&aside, &place)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|e| {
        // On a disk that is full it would only be in the way.
        let _ = fs::remove_file(&aside);
        failed(dir, path, &e)
    })
}

fn aside(name: &str) -> String {
    format!(".{name}.rekey")
}

fn failed(dir: &Path, path: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", dir.join(path).display()))
}
