//! The files of the platform: written aside within the folder that they belong to, then moved into place.

use std::{
    fs::{File, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{PermissionsExt, fchown},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use decryptor_wasm::{
    Error,
    jsonl::Line,
    plan::PlannedFile,
    raw::{RAW_LIST, RawEntry},
};

use super::{Report, Restore, servers::content, staged_tree::StagedTree, target::folder_of};
use crate::{archive::ArchiveError, failure::Failure, files, interrupt, progress::Tally};

/// Permissions that are restored: neither those that run a program as somebody else, nor others of the kind.
const PERMISSIONS: u32 = 0o777;

/// The list of the files, which was checked.
pub struct Trees {
    list: PlannedFile,
}

/// Files that wait for their place; what is left of them goes away with this.
pub struct StagedTrees {
    places: Vec<StagedTree>,
}

impl Trees {
    /// Checks that the list names each file of the trees, and no other.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(restore: &Restore<'_>) -> Result<Self, Failure> {
        let archive = restore.archive;
        let files = archive.files();
        let names = [".jsonl.gz", ".jsonl"].map(|end| format!("{RAW_LIST}{end}"));
        let list = names.iter().find_map(|name| files.find(name));
        let list =
            list.ok_or_else(|| Failure::damaged(format!("{RAW_LIST} is not in the dump")))?;
        let (mut listed, mut seen) = (0, vec![false; files.len()]);
        each(restore, &list, &mut |entry| {
            let wrong = |what: &str| Error::damaged(format!("{}: {what}", entry.path)).at(RAW_LIST);
            if entry.folder {
                return Ok(());
            }
            let place = files.place(&entry.stored());
            let Some(seen) = place.and_then(|place| seen.get_mut(place)) else {
                return Err(wrong("is listed, and not in the dump"));
            };
            if std::mem::replace(seen, true) {
                return Err(wrong("is listed twice"));
            }
            listed += 1;
            Ok(())
        })?;
        let trees = restore.section.trees.iter();
        let there = trees.map(|tree| files.below(&format!("raw/{tree}/")).len());
        match there.sum::<usize>() == listed {
            true => Ok(Trees { list }),
            false => Err(Failure::damaged(format!(
                "{RAW_LIST} does not list the files of the dump: nothing was restored"
            ))),
        }
    }

    /// Writes all files aside, with owners, permissions and times.
    ///
    /// # Errors
    /// When the archive cannot be read, or a file not be written.
    pub fn stage(
        &self,
        restore: &Restore<'_>,
        tally: &Tally,
        report: &mut Report,
    ) -> Result<StagedTrees, Failure> {
        let mut staged = StagedTrees { places: Vec::new() };
        for tree in &restore.section.trees {
            staged
                .places
                .push(StagedTree::begin(folder_of(restore, tree))?);
        }
        let trees = &restore.section.trees;
        let archive = restore.archive;
        let mut failed = None;
        let read = each(restore, &self.list, &mut |entry| {
            let mut parts = entry.path.splitn(2, '/');
            let tree = parts.next().unwrap_or_default();
            let at = trees.iter().position(|known| known == tree);
            let place = at.and_then(|at| staged.places.get_mut(at));
            let done = match (place, parts.next()) {
                (Some(place), None) => {
                    place.own = Some(entry.clone());
                    Ok(())
                }
                (Some(place), Some(within)) => {
                    let planned = archive.files().find(&entry.stored());
                    let item = Item {
                        entry,
                        planned,
                        within,
                    };
                    item.write(restore, place, tally, report)
                }
                (None, _) => Err(Failure::damaged(format!("{RAW_LIST} was changed"))),
            };
            done.map_err(|failure| {
                failed = Some(failure);
                Error::damaged("not written")
            })
        });
        match (failed, read) {
            (Some(failure), _) | (None, Err(failure)) => Err(failure),
            (None, Ok(())) => {
                for place in &staged.places {
                    let synced = place.sync();
                    synced.map_err(|e| ArchiveError::io(place.path(), e))?;
                }
                Ok(staged)
            }
        }
    }
}

/// Hands over each entry of the list.
fn each(
    restore: &Restore<'_>,
    list: &PlannedFile,
    take: &mut dyn FnMut(&RawEntry) -> Result<(), Error>,
) -> Result<(), Failure> {
    let trees = &restore.section.trees;
    let mut line = |line: Line<'_>| {
        interrupt::check()?;
        take(&RawEntry::parse(line.text, trees)?)
    };
    let read = restore.archive.lines::<Error>(list, true, &mut line);
    Failure::unless_interrupted()?;
    read.map(drop).map_err(Failure::from)
}

/// A line of the list.
struct Item<'i> {
    entry: &'i RawEntry,
    /// The file in the dump.
    planned: Option<PlannedFile>,
    /// Its path within its tree.
    within: &'i str,
}

impl Item<'_> {
    /// Writes a file, or sets how a folder is whose files are all written.
    fn write(
        &self,
        restore: &Restore<'_>,
        place: &mut StagedTree,
        tally: &Tally,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let path = place.path().join(self.within);
        let failed = |e: io::Error| Failure::failed(format!("{}: {e}", path.display()));
        if self.entry.folder {
            // One without files is made here.
            let folder = place.folder(self.within).map_err(failed)?;
            return own(folder, self.entry, report).map_err(failed);
        }
        let planned = self.planned.as_ref();
        let planned = planned.ok_or_else(|| Failure::damaged(format!("{RAW_LIST} was changed")))?;
        let mut file = place.file(self.within).map_err(failed)?;
        content(restore, planned, &mut file, &path, tally)?;
        own(&file, self.entry, report).map_err(failed)?;
        files::close(file).map_err(failed)?;
        report.files += 1;
        Ok(())
    }
}

/// Gives a file or folder its owner, permissions and time.
fn own(file: &File, entry: &RawEntry, report: &mut Report) -> io::Result<()> {
    match fchown(file, Some(entry.uid), Some(entry.gid)) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => report.lose(format!(
            "{}: its owner {}:{} could not be set: restore as root",
            entry.path, entry.uid, entry.gid
        )),
        // In a container, or on a disk of another system.
        Err(e) if e.kind() == ErrorKind::InvalidInput => report.lose(format!(
            "{}: its owner {}:{} is none here",
            entry.path, entry.uid, entry.gid
        )),
        set => set?,
    }
    if entry.mode & !PERMISSIONS != 0 {
        report.lose(format!(
            "{}: special permissions ({:o}) are not restored",
            entry.path,
            entry.mode & !PERMISSIONS
        ));
    }
    file.set_permissions(Permissions::from_mode(entry.mode & PERMISSIONS))?;
    file.set_modified(time(entry))
}

/// When it was changed last.
fn time(entry: &RawEntry) -> SystemTime {
    let whole = Duration::from_secs(entry.mtime.unsigned_abs());
    let second = match entry.mtime < 0 {
        true => UNIX_EPOCH.checked_sub(whole),
        false => UNIX_EPOCH.checked_add(whole),
    };
    let second = second.unwrap_or(UNIX_EPOCH);
    let part = Duration::from_nanos(entry.nsec.into());
    second.checked_add(part).unwrap_or(second)
}

impl StagedTrees {
    /// Moves the trees into place.
    ///
    /// # Errors
    /// When the system refuses, or something is there by now.
    pub fn place(mut self, report: &mut Report) -> Result<(), Failure> {
        for place in &mut self.places {
            let path = place.path().to_owned();
            let failed = |e| ArchiveError::io(&path, e);
            let (folder, entry) = place.place().map_err(failed)?;
            if let Some(entry) = entry {
                own(folder, entry, report).map_err(failed)?;
            }
            folder.sync_all().map_err(failed)?;
        }
        Ok(())
    }
}
