//! The files of a platform as they lie there: each with its owner, permissions and time in a list. Links are not followed, and named; so is whatever
//! cannot be read.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    io::{self, ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    layout::is_safe_path,
    raw::{RAW, RAW_LIST, RawEntry},
};

use super::Dumped;
use crate::{
    archive::{
        ArchiveError, ArchiveWriter,
        write::{RecordCopy, file::FileWriter},
    },
    failure::Failure,
    files, interrupt,
    limits::PIECE,
    platform::raw::{self, BESIDE},
    regular,
};

/// Folders of files that are users' own, whatever they are.
const ATTACHMENTS: &str = "attachments";
const GONE: &str = "was removed while the dump was made";
const LINK: &str = "is a link, which is not followed: what it leads to is not in the dump";
const SPECIAL: &str = "is no regular file (a pipe, socket or device)";
const UNSAFE: &str = "has a name that not every system can write";

/// Where a restore of a raw dump keeps files, within the folder that they belong to, until they are moved into place.
pub const STAGING: &str = ".pryv-backup-raw-restore";
/// A folder that a file system has by itself.
const OF_DISKS: &str = "lost+found";

/// Whether what is called so at the root of a tree is no part of it.
#[must_use]
pub fn is_apart(name: &OsStr) -> bool {
    name == STAGING || name == OF_DISKS
}

/// A walk over trees.
struct Walk<'w> {
    archive: &'w mut ArchiveWriter,
    list: RecordCopy,
    /// For copies of SQLite files.
    waiting: PathBuf,
    done: &'w mut Dumped,
}

/// Writes the files of trees (name below `raw/`, folder) and the list of them; `waiting`: a folder for what waits.
///
/// # Errors
/// When the archive cannot be written.
pub fn write(
    archive: &mut ArchiveWriter,
    waiting: &Path,
    trees: &[(&str, &Path)],
    done: &mut Dumped,
) -> Result<(), Failure> {
    let mut walk = Walk {
        list: archive.records(RAW_LIST)?,
        waiting: waiting.join("copy"),
        archive,
        done,
    };
    for (name, folder) in trees {
        match fs::symlink_metadata(folder) {
            Ok(about) => walk.folder(folder, name, &about, false)?,
            Err(e) => walk.done.lose(format!("{RAW}/{name}"), lost(&e)),
        }
    }
    let list = walk.list.finish()?;
    Ok(walk.archive.add_file(list)?)
}

/// About how many bytes a tree has: what cannot be read is left out.
pub fn bytes(folder: &Path) -> u64 {
    let names = files::names(folder).unwrap_or_default();
    let sizes = names.iter().map(|name| {
        let path = folder.join(name);
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => bytes(&path),
            Ok(about) if about.is_file() => about.len(),
            _ => 0,
        }
    });
    sizes.fold(0, u64::saturating_add)
}

/// Why what could not be read is lost.
fn lost(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => GONE.to_owned(),
        _ => error.to_string(),
    }
}

/// Copies a file into the archive, where it is still to be ended. Of one that cannot be read to its end, nothing stays there.
pub fn copied(
    archive: &ArchiveWriter,
    mut from: impl Read,
    stored: &str,
) -> Result<io::Result<FileWriter>, Failure> {
    let mut file = archive.file(stored)?;
    let mut piece = vec![0; PIECE];
    loop {
        interrupt::check()?;
        match from.read(&mut piece) {
            Ok(0) => return Ok(Ok(file)),
            Ok(read) => {
                archive.tally.add(0, read as u64);
                file.write(piece.get(..read).unwrap_or_default())?;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => {
                file.abandon()?;
                return Ok(Err(e));
            }
        }
    }
}

impl Walk<'_> {
    /// A folder, and all in it; `owned`: it holds files of users.
    fn folder(
        &mut self,
        folder: &Path,
        path: &str,
        about: &Metadata,
        owned: bool,
    ) -> Result<(), Failure> {
        interrupt::check()?;
        let mut names = match files::names(folder) {
            Ok(names) => names,
            Err(e) => {
                self.done.lose(format!("{RAW}/{path}"), lost(&e));
                match e.kind() {
                    ErrorKind::NotFound => return Ok(()),
                    _ => Vec::new(),
                }
            }
        };
        let is_root = !path.contains('/');
        names.retain(|name| !(is_root && is_apart(name)));
        names.sort();
        let mut companions = Vec::new();
        for name in &names {
            let disk = folder.join(name);
            let Some(text) = name.to_str() else {
                let shown = format!("{RAW}/{path}/{}", name.to_string_lossy());
                self.done.lose(shown, UNSAFE.to_owned());
                continue;
            };
            let path = format!("{path}/{text}");
            let stored = format!("{RAW}/{path}");
            let lost = match fs::symlink_metadata(&disk) {
                _ if companions.iter().any(|known| known == text) => continue,
                _ if !is_safe_path(&stored) => UNSAFE.to_owned(),
                Ok(about) if about.is_dir() => {
                    self.folder(&disk, &path, &about, owned || text == ATTACHMENTS)?;
                    continue;
                }
                Ok(about) if about.is_file() => {
                    let lost = self.file(&disk, &path, &about, owned)?;
                    match lost {
                        None => continue,
                        // The copy holds what they do.
                        Some(Took::Database) => {
                            companions.extend(BESIDE.map(|end| format!("{text}{end}")));
                            continue;
                        }
                        Some(Took::Lost(what)) => what,
                    }
                }
                Ok(about) if about.is_symlink() => LINK.to_owned(),
                Ok(_) => SPECIAL.to_owned(),
                Err(e) => lost(&e),
            };
            self.done.lose(stored, lost);
        }
        self.list(path, about, true)
    }

    /// A file; none where it was taken as it is.
    fn file(
        &mut self,
        disk: &Path,
        path: &str,
        about: &Metadata,
        owned: bool,
    ) -> Result<Option<Took>, Failure> {
        let is_database = match owned {
            true => Ok(false),
            false => raw::is_database(disk),
        };
        let took = matches!(is_database, Ok(true)).then_some(Took::Database);
        let file = match is_database {
            Ok(true) => match raw::copy(disk, &self.waiting) {
                Ok(copy) => Ok(copy),
                Err(error) => {
                    Failure::unless_interrupted()?;
                    return Ok(Some(Took::Lost(error.beside(disk))));
                }
            },
            Ok(false) => regular::open(disk),
            Err(e) => Err(e),
        };
        let copy = match file {
            Ok(file) => copied(self.archive, file, &format!("{RAW}/{path}"))?,
            Err(e) => Err(e),
        };
        let copy = match copy {
            Ok(copy) => copy,
            Err(e) => return Ok(Some(Took::Lost(lost(&e)))),
        };
        let entry = copy.finish(None)?;
        self.archive.add_file(entry)?;
        self.done.files += 1;
        self.list(path, about, false)?;
        Ok(took)
    }

    /// A line of the list.
    fn list(&mut self, path: &str, about: &Metadata, folder: bool) -> Result<(), Failure> {
        let entry = RawEntry {
            path: path.to_owned(),
            folder,
            mode: about.mode() & 0o7777,
            uid: about.uid(),
            gid: about.gid(),
            mtime: about.mtime(),
            nsec: u32::try_from(about.mtime_nsec()).unwrap_or_default(),
        };
        let mut line = serde_json::to_vec(&entry)
            .map_err(|e| ArchiveError::io(Path::new(RAW_LIST), e.into()))?;
        line.push(b'\n');
        Ok(self.list.write(&line)?)
    }
}

/// What became of a file that was not taken as it is.
enum Took {
    /// It was copied as a SQLite file, with what its log holds.
    Database,
    /// It was not taken.
    Lost(String),
}
