//! Whether the files of a run are those that the sums list, which needs no key.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use decryptor_wasm::{Error, chain::CHAIN};
use sha2::{Digest, Sha256};

use super::{ArchiveError, SUMS, file::hex};
use crate::interrupt;

/// Lines of the sums that are looked at together.
const TOGETHER: usize = 4096;
/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// Compares all files for whose path `belongs` holds.
pub fn verify(
    folder: &Path,
    belongs: impl Fn(&str) -> bool,
    jobs: usize,
) -> Result<(), ArchiveError> {
    let path = folder.join(SUMS);
    let at = |e| ArchiveError::io(&path, e);
    let mut lines = BufReader::new(File::open(&path).map_err(at)?).lines();
    let mut manifest = false;
    loop {
        let mut files = Vec::new();
        for line in lines.by_ref() {
            let line = line.map_err(at)?;
            let Some((digest, path)) = line.split_once("  ") else {
                continue;
            };
            if path != CHAIN && belongs(path) {
                manifest |= path.ends_with("manifest.json");
                files.push((digest.to_owned(), path.to_owned()));
            }
            if files.len() == TOGETHER {
                break;
            }
        }
        if files.is_empty() {
            break;
        }
        compare(folder, &files, jobs)?;
    }
    if manifest {
        return Ok(());
    }
    Err(damaged(&format!("{SUMS} does not list it")))
}

fn compare(folder: &Path, files: &[(String, String)], jobs: usize) -> Result<(), ArchiveError> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<ArchiveError>> = Mutex::default();
    let work = || {
        let mut buffer = vec![0; PIECE];
        while let Some((digest, path)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = match sha256(&folder.join(path), &mut buffer) {
                Ok(Some(found)) if found == *digest => Ok(()),
                Ok(Some(_)) => Err(damaged(&format!(
                    "{path} is not the file that {SUMS} lists"
                ))),
                Ok(None) => Err(damaged(&format!("{path} is missing"))),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                next.store(files.len(), Ordering::Relaxed);
                failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(files.len()) {
            scope.spawn(work);
        }
        work();
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn damaged(what: &str) -> ArchiveError {
    Error::damaged(format!(
        "the run before is damaged: {what}; nothing was added to this chain: use another copy of it, or begin a new one"
    ))
    .into()
}

/// Hex SHA-256 of a file; none when it is not there.
fn sha256(path: &Path, buffer: &mut [u8]) -> Result<Option<String>, ArchiveError> {
    let at = |e| ArchiveError::io(path, e);
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(at)?,
    };
    let mut digest = Sha256::new();
    loop {
        interrupt::check()?;
        match file.read(buffer) {
            Ok(0) => return Ok(Some(hex(digest))),
            Ok(n) => digest.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(at(e)),
        }
    }
}
