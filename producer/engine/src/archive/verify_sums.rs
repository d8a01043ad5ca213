//! Digests of the stored files, which need no key.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use decryptor_wasm::{
    Code, Error, FileList, Result,
    layout::{PathKind, run_of},
    signature::{FilesDigest, is_signed_path},
};

use super::read::Folder;
use crate::limits::PIECE;
use crate::text::hex;
use crate::threads::{lock, unlocked};
use crate::{digest, interrupt};

/// Files whose digests are waited for together.
const TOGETHER: usize = 4096;

/// Reads the files of these paths, several at once, and gives each with its hex SHA-256 to `take`, in their order; none for one that is
/// not there.
pub fn hash(
    folder: &Folder,
    paths: impl Iterator<Item = Result<String>>,
    jobs: usize,
    take: &mut dyn FnMut(&str, Option<String>) -> Result<()>,
) -> Result<()> {
    let mut paths = paths.peekable();
    while paths.peek().is_some() {
        let some: Vec<String> = paths.by_ref().take(TOGETHER).collect::<Result<_>>()?;
        let digests = together(folder, &some, jobs)?;
        for (path, digest) in some.iter().zip(digests) {
            take(path, digest)?;
        }
    }
    Ok(())
}

/// The digest of all files of a run as its signature states it; `listing`: every file in the order of the paths.
pub fn files_digest(folder: &Folder, listing: &FileList, run: u32, jobs: usize) -> Result<String> {
    // Files that a killed run or a change of recipients left are no part of a run.
    let is_of_run = |path: &str| {
        run_of(path).is_some_and(|(of, within)| {
            of == run && is_signed_path(within) && PathKind::of(within) != PathKind::Stray
        })
    };
    let paths = listing.iter().filter(|(path, _)| is_of_run(path));
    let paths = paths.map(|(path, _)| Ok(path));
    let mut digest = FilesDigest::default();
    hash(folder, paths, jobs, &mut |path, sum| {
        let within = run_of(path).map_or(path, |(_, within)| within);
        // One that is gone meanwhile is missing in the digest.
        sum.map_or(Ok(()), |sum| digest.push(within, &sum))
    })?;
    Ok(digest.finish())
}

fn together(folder: &Folder, paths: &[String], jobs: usize) -> Result<Vec<Option<String>>> {
    let next = AtomicUsize::new(0);
    let digests: Mutex<Vec<Option<String>>> = Mutex::new(vec![None; paths.len()]);
    let failure: Mutex<Option<Error>> = Mutex::default();
    let work = || {
        let mut buffer = vec![0; PIECE];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else { break };
            match sha256(folder, path, &mut buffer) {
                Ok(digest) => lock(&digests)[at] = digest,
                Err(error) => {
                    next.store(paths.len(), Ordering::Relaxed);
                    lock(&failure).get_or_insert(error);
                }
            }
        }
    };
    crate::threads::share(jobs.min(paths.len()), work);
    match unlocked(failure) {
        Some(error) => Err(error),
        None => Ok(unlocked(digests)),
    }
}

/// Hex SHA-256 of a regular file; none when it is not there.
fn sha256(folder: &Folder, path: &str, buffer: &mut [u8]) -> Result<Option<String>> {
    let Some(mut file) = folder.find(path)? else {
        return Ok(None);
    };
    let failed = |e| Error::of(Code::UnreadableFile).at(path).because(&e);
    let digest = digest::sha256(&mut file, buffer, failed, &mut |_| interrupt::check())?;
    Ok(Some(hex(&digest)))
}
