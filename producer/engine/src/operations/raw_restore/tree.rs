//! The files of the platform: written aside within the folder that they belong to, then moved into place.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use decryptor_wasm::{
    Error,
    jsonl::Line,
    plan::PlannedFile,
    raw::{RAW_LIST, RawEntry},
};

use super::{
    Report, Restore,
    servers::content,
    target::{STAGING, folder_of},
};
use crate::{
    archive::{ArchiveError, write::sync},
    failure::Failure,
    files, interrupt,
    progress::Tally,
};

/// Permissions that are restored: neither those that run a program as somebody else, nor others of the kind.
const PERMISSIONS: u32 = 0o777;

/// The list of the files, which was checked.
pub struct Trees {
    list: PlannedFile,
}

/// Files that wait for their place; what is left of them goes away with this.
pub struct StagedTrees {
    places: Vec<Place>,
}

/// A tree on the target.
struct Place {
    folder: PathBuf,
    staging: PathBuf,
    /// Whether this run made the folder.
    made: bool,
    /// How the folder itself is to be.
    own: Option<RawEntry>,
    done: bool,
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
        let (mut listed, mut last) = (0, String::new());
        each(restore, &list, &mut |entry| {
            let wrong = |what: &str| Error::damaged(format!("{}: {what}", entry.path)).at(RAW_LIST);
            if entry.folder {
                return Ok(());
            }
            if files.find(&entry.stored()).is_none() {
                return Err(wrong("is listed, and not in the dump"));
            }
            if entry.path == last {
                return Err(wrong("is listed twice"));
            }
            listed += 1;
            last.clone_from(&entry.path);
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
            staged.places.push(Place::begin(folder_of(restore, tree))?);
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
                    let path = place.staging.join(within);
                    let planned = archive.files().find(&entry.stored());
                    write(restore, entry, planned.as_ref(), &path, tally, report)
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
                    sync(&place.staging)?;
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

/// Writes a file, or sets how a folder is whose files are all written.
fn write(
    restore: &Restore<'_>,
    entry: &RawEntry,
    planned: Option<&PlannedFile>,
    path: &Path,
    tally: &Tally,
    report: &mut Report,
) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::failed(format!("{}: {e}", path.display()));
    if entry.folder {
        // One without files is made here.
        folders(path).map_err(failed)?;
        let folder = File::open(path).map_err(failed)?;
        return own(&folder, entry, report).map_err(failed);
    }
    if let Some(above) = path.parent() {
        folders(above).map_err(failed)?;
    }
    let planned = planned.ok_or_else(|| Failure::damaged(format!("{RAW_LIST} was changed")))?;
    let mut file = File::create_new(path).map_err(failed)?;
    content(restore, planned, &mut file, path, tally)?;
    own(&file, entry, report).map_err(failed)?;
    files::close(file).map_err(failed)?;
    report.files += 1;
    Ok(())
}

/// Makes folders that only we may enter yet.
fn folders(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Gives a file or folder its owner, permissions and time.
fn own(file: &File, entry: &RawEntry, report: &mut Report) -> io::Result<()> {
    match fchown(file, Some(entry.uid), Some(entry.gid)) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => report.lose(format!(
            "{}: its owner {}:{} could not be set: restore as root",
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

impl Place {
    fn begin(folder: &Path) -> Result<Self, Failure> {
        let failed = |e: io::Error| Failure::failed(format!("{}: {e}", folder.display()));
        let made = match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => true,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
            Err(e) => return Err(failed(e)),
        };
        let staging = folder.join(STAGING);
        let begun = DirBuilder::new().mode(0o700).create(&staging);
        begun.map_err(failed)?;
        Ok(Place {
            folder: folder.to_owned(),
            staging,
            made,
            own: None,
            done: false,
        })
    }

    /// Moves all files to where they belong.
    fn place(&mut self) -> io::Result<()> {
        for name in files::names(&self.staging)? {
            fs::rename(self.staging.join(&name), self.folder.join(&name))?;
        }
        fs::remove_dir(&self.staging)?;
        self.done = true;
        let folder = File::open(&self.folder)?;
        if let Some(entry) = &self.own {
            // Where it cannot be given to its owner, it stays with whoever restores, as the files in it.
            let _ = fchown(&folder, Some(entry.uid), Some(entry.gid));
            folder.set_permissions(Permissions::from_mode(entry.mode & PERMISSIONS))?;
            folder.set_modified(time(entry))?;
        }
        folder.sync_all()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let _ = fs::remove_dir_all(&self.staging);
        if self.made {
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

impl StagedTrees {
    /// Moves the trees into place.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn place(mut self) -> Result<(), Failure> {
        for place in &mut self.places {
            let placed = place.place();
            placed.map_err(|e| ArchiveError::io(&place.folder, e))?;
        }
        Ok(())
    }
}
