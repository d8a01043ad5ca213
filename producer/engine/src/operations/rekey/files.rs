//! The files that a change of recipients replaces: the envelopes, and the list of runs, which names the recipients of each; in an object
//! store what each run says of itself.

use std::{collections::BTreeMap, fs, path::Path};

use decryptor_wasm::{
    Envelope, Error, FileList, Result,
    chain::{CHAIN, Index, run_of},
    layout::{ENVELOPE, RUN},
};

use crate::{
    archive::{
        listed_files::{self, ListedFile, Replacement, Replacer},
        read::Folder,
        sums::{SUMS, SumLine},
    },
    digest::sha256_hex,
    failure::Failure,
};

const BY: Replacer = Replacer::Rekey;

/// A file as it is to be.
pub struct ReplacedFile {
    /// From the root.
    path: String,
    /// Whether the sums list it.
    summed: bool,
    bytes: Vec<u8>,
    /// Whether the file is still otherwise.
    changed: bool,
    /// The list of runs does not say what the envelopes say now.
    stale: bool,
}

/// Digests that `SHA256SUMS` lists of the files that may change; none in archives of Pryv's own tool.
pub struct ListedFiles(Option<BTreeMap<String, String>>);

impl ReplacedFile {
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
        Ok(ReplacedFile {
            path,
            summed: true,
            bytes,
            changed,
            stale: false,
        })
    }

    /// What a run in an object store says of itself, if it does.
    pub fn entry(folder: &Folder, run: u32, recipients: &[String]) -> Result<Option<Self>> {
        let path = match Index::path(run) {
            at if at.is_empty() => RUN.to_owned(),
            at => format!("{at}/{RUN}"),
        };
        if !(folder.lists_itself() && folder.has(&path)) {
            return Ok(None);
        }
        let mut entry = Index::parse(&folder.read(&path)?)?;
        let old = entry.clone();
        for known in &mut entry.runs {
            known.recipients = recipients.to_vec();
        }
        Ok((old != entry).then_some(ReplacedFile {
            path,
            summed: false,
            bytes: entry.to_json()?,
            changed: true,
            stale: true,
        }))
    }

    /// The list of runs. One that was replaced is not made good by this.
    pub fn index(folder: &Folder, old: &Index, new: &Index, sums: &ListedFiles) -> Result<Self> {
        let stored = folder.read(CHAIN)?;
        if sums.other(CHAIN, &stored) {
            return Err(Error::damaged(format!(
                "{CHAIN} is not the one that {SUMS} lists; it was changed or replaced: nothing was done, use another copy of the backup"
            )));
        }
        let changed = old != new;
        Ok(ReplacedFile {
            path: CHAIN.to_owned(),
            summed: true,
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

impl ListedFiles {
    /// Reads them.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn read(folder: &Folder) -> Result<Self> {
        if !folder.has(SUMS) {
            return Ok(ListedFiles(None));
        }
        let mut listed = BTreeMap::new();
        for line in folder.sums()? {
            let SumLine { path, sha256 } = line?;
            let within = run_of(&path).map(|(_, within)| within);
            if path == CHAIN || within == Some(ENVELOPE) {
                listed.insert(path, sha256);
            }
        }
        Ok(ListedFiles(Some(listed)))
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
    pub fn lacks(&self, targets: &[ReplacedFile]) -> bool {
        let mut targets = targets.iter().filter(|target| target.summed);
        self.0.is_some() && targets.any(|target| self.lists(&target.path).is_none())
    }
}

/// Removes the temporary files of a run that was killed.
pub fn remove_leftovers(dir: &Path, listing: &FileList) -> Result<(), Failure> {
    let left = listing.iter().filter(|(path, _)| BY.is_leftover(path));
    for (path, _) in left {
        let path = dir.join(path);
        fs::remove_file(&path).map_err(|e| Failure::failed(format!("{}: {e}", path.display())))?;
    }
    Ok(())
}

/// Replaces the files that change, and completes the sums.
pub fn replace(
    folder: &Folder,
    targets: &[ReplacedFile],
    listed: &ListedFiles,
) -> Result<(), Failure> {
    if folder.lists_itself() {
        return replace_in_runs(folder, targets, listed);
    }
    if listed.0.is_none() {
        for target in targets.iter().filter(|target| target.changed) {
            listed_files::replace_file(folder, BY, &target.path, &target.bytes)?;
        }
        return Ok(());
    }
    let new = targets.iter();
    let new = new.filter(|target| target.changed || listed.lists(&target.path).is_none());
    let files: Vec<ListedFile<'_>> = new
        .map(|target| ListedFile {
            path: &target.path,
            bytes: &target.bytes,
            replace: target.changed,
        })
        .collect();
    if files.is_empty() {
        return Ok(());
    }
    let replacement = Replacement {
        folder,
        by: BY,
        files: &files,
        keep: &|_| true,
        add: listed_files::none(),
    };
    Ok(replacement.run()?)
}

/// The same where each run has its own sums.
fn replace_in_runs(
    folder: &Folder,
    targets: &[ReplacedFile],
    listed: &ListedFiles,
) -> Result<(), Failure> {
    for target in targets {
        let Some((run, within)) = run_of(&target.path) else {
            continue;
        };
        if !target.summed || listed.0.is_none() {
            if target.changed {
                listed_files::replace_file(folder, BY, &target.path, &target.bytes)?;
            }
            continue;
        }
        if !target.changed && listed.lists(&target.path).is_some() {
            continue;
        }
        let of_run = folder.run(run);
        // What was listed at first tells whether somebody else changes it too.
        let replacement = Replacement {
            folder: &of_run,
            by: BY,
            files: &[ListedFile {
                path: within,
                bytes: &target.bytes,
                replace: target.changed,
            }],
            keep: &|_| true,
            add: listed_files::none(),
        };
        replacement.run()?;
    }
    Ok(())
}
