//! `SHA256SUMS`: what anyone can compare without a key.

use std::{cmp::Ordering, collections::BTreeMap};

use decryptor_wasm::{FileList, Result, chain::run_of, signature::FilesDigest};

pub use crate::archive::sums::SUMS as NAME;
use crate::{
    archive::read::{Archive, Folder},
    text::{count, unhex},
};

/// Its lines, held against the files that are there.
#[derive(Default)]
pub struct Sums {
    /// The digest that is listed of each file of the listing.
    pub due: Vec<Option<[u8; 32]>>,
    /// Paths that are listed and not there.
    pub missing: Vec<String>,
    runs: BTreeMap<u32, FilesDigest>,
}

impl Sums {
    /// Reads those of an archive, with all its files in the order of their paths.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn read(folder: &Folder, listing: &FileList) -> Result<Self> {
        let mut found = Sums::default();
        for line in folder.sums()? {
            let line = line?;
            if let Some((run, within)) = run_of(&line.path) {
                let digest = found.runs.entry(run).or_default();
                digest.push(within, &line.sha256)?;
            }
            loop {
                match listing.compare(found.due.len(), &line.path) {
                    Ordering::Less => found.due.push(None),
                    Ordering::Equal => break found.due.push(unhex(&line.sha256)),
                    Ordering::Greater => break found.missing.push(line.path),
                }
            }
        }
        found.due.resize(listing.len(), None);
        Ok(found)
    }

    /// The digest of the files that are listed of a run, as it is signed.
    pub fn digest_of(&mut self, run: u32) -> String {
        self.runs.remove(&run).unwrap_or_default().finish()
    }
}

/// Whether they list a file.
///
/// # Errors
/// When they are damaged.
pub fn list(folder: &Folder, path: &str) -> Result<bool> {
    for line in folder.sums()? {
        if line?.path == path {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where the sums of an opened archive say something else than its inventory, which is proven: whoever trusts them would be misled.
///
/// # Errors
/// When they are damaged.
pub fn compare(archive: &Archive) -> Result<Vec<String>> {
    if !archive.folder().has(NAME) {
        return Ok(Vec::new());
    }
    let differ = |a: &str, b: &str| !a.eq_ignore_ascii_case(b);
    let (mut wrong, mut unlisted) = (Vec::new(), Vec::new());
    let (mut manifest, mut volumes) = (None, false);
    let files = archive.files().iter();
    let listed = files.filter_map(|file| Some((file.path, file.expected?)));
    let mut due = listed.peekable();
    for line in archive.folder().sums()? {
        let line = line?;
        if line.path == "manifest.json" {
            manifest = Some(line.sha256);
            continue;
        }
        volumes |= super::is_volume(&line.path);
        while let Some((path, _)) = due.next_if(|(path, _)| *path < line.path) {
            unlisted.push(path);
        }
        if let Some((_, expected)) = due.next_if(|(path, _)| *path == line.path)
            && differ(&expected.sha256(), &line.sha256)
        {
            wrong.push(line.path);
        }
    }
    unlisted.extend(due.map(|(path, _)| path));
    // Of volumes, only the files beside them are listed.
    if !volumes {
        wrong.append(&mut unlisted);
    }
    if manifest.is_none_or(|listed| differ(&listed, archive.id())) {
        wrong.push("manifest.json".to_owned());
    }
    Ok(match wrong.as_slice() {
        [] => Vec::new(),
        [first, ..] => vec![format!(
            "{NAME}: not what the inventory says of {} ({first} is the first); it was changed: compare nothing with it",
            count(wrong.len() as u64, "file", "files")
        )],
    })
}
