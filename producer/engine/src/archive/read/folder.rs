//! An archive's folder.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    Code, Error, ErrorKind, Field, Result,
    chain::{CHAIN, Index, run_of},
    layout::refuse_long,
};
use rustix::fs::{Mode, OFlags};

use crate::archive::sums::{self, SUMS, SumLines};
use crate::{files, threads};

/// Bytes of a small file.
const SMALL: u64 = 64 * 1024;
/// Folders for which a thread of its own is worth it.
const LEAST: usize = 64;

/// The folder of an archive on this machine. Symbolic links are refused: an archive holds none, and one could make a file outside
/// the folder look like a part of it.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// It is that of a chain, of which only the first run counts.
    first_run: bool,
}

impl Folder {
    /// What `SHA256SUMS` lists.
    ///
    /// # Errors
    /// When it is not there.
    pub fn sums(&self) -> Result<SumLines<'static>> {
        Ok(sums::read(self.open(SUMS)?))
    }

    /// The folder at `path`; nothing is read yet.
    pub fn new(path: &Path) -> Self {
        Folder {
            path: path.to_owned(),
            first_run: false,
        }
    }

    /// The folder of a run of the chain in this one.
    pub fn run(&self, run: u32) -> Self {
        Folder {
            path: self.path.join(Index::path(run)),
            first_run: run <= 1,
        }
    }

    /// The runs that have a folder in the chain in this one, in order.
    pub fn runs(&self) -> Result<Vec<u32>> {
        let increments = self.path.join("increments");
        let mut runs = vec![1];
        let kind = fs::symlink_metadata(&increments).map(|about| about.file_type());
        if kind.as_ref().is_ok_and(|kind| !kind.is_dir()) {
            return Err(match kind.is_ok_and(|kind| kind.is_symlink()) {
                true => not_a_file(&increments, true),
                false => Error::damaged(format!(
                    "{} is not a folder, although the runs of a chain lie there: remove it or copy the backup again",
                    increments.display()
                )),
            });
        }
        if kind.is_ok() {
            let failed = |e: io::Error| unreadable("increments", &e);
            for name in files::names(&increments).map_err(failed)? {
                let path = format!("increments/{}/", name.to_string_lossy());
                let run = run_of(&path).map(|(run, _)| run);
                let folder = increments.join(&name);
                if run.is_some() && fs::symlink_metadata(&folder).is_ok_and(|of| of.is_symlink()) {
                    return Err(not_a_file(&folder, true));
                }
                runs.extend(run);
            }
        }
        runs.sort_unstable();
        Ok(runs)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a file of that name.
    pub fn has(&self, path: &str) -> bool {
        self.path.join(path).is_file()
    }

    /// Every file with its size in bytes, sorted by path.
    pub fn list(&self) -> Result<Vec<(String, u64)>> {
        let mut found = Found::default();
        let mut level = vec![(self.path.clone(), String::new())];
        // Folders of one level are looked into side by side: there may be several for each user.
        while !level.is_empty() {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let share = level.len().div_ceil(cores).max(LEAST);
            let shares: Vec<&[_]> = level.chunks(share).collect();
            for looked in threads::map(&shares, |share| look(share)) {
                let looked = looked?;
                found.files.extend(looked.files);
                found.folders.extend(looked.folders);
            }
            level = std::mem::take(&mut found.folders);
        }
        let mut files = found.files;
        if self.first_run {
            files.retain(|(path, _)| path != CHAIN && !path.starts_with("increments/"));
        }
        files.sort();
        Ok(files)
    }

    /// Refuses symbolic links, and whatever else an archive cannot hold, anywhere in it.
    pub fn refuse_links(&self) -> Result<()> {
        let mut folders = vec![(self.path.clone(), String::new())];
        while let Some(folder) = folders.pop() {
            let mut found = Found::default();
            look_into(&folder.0, &folder.1, &mut found)?;
            folders.append(&mut found.folders);
        }
        Ok(())
    }

    /// Opens one of its files.
    pub fn open(&self, path: &str) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(self.path.join(path), flags, Mode::empty())
            .map(File::from)
            .map_err(|e| unreadable(path, &e.into()))?;
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(file),
            Ok(_) => Err(Error::of(Code::NotAFile)
                .at(path)
                .with(Field::Found, NOT_REGULAR)),
            Err(e) => Err(unreadable(path, &e)),
        }
    }

    /// A file of a few kilobytes, if it is there; of a longer one, more than any such file has.
    pub fn small(&self, path: &str) -> Result<Option<Vec<u8>>> {
        if !self.has(path) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let file = self.open(path)?.take(SMALL);
        { file }
            .read_to_end(&mut bytes)
            .map_err(|e| unreadable(path, &e))?;
        Ok(Some(bytes))
    }

    /// Refuses a file that is larger than any of its kind.
    pub fn refuse_long(&self, path: &str) -> Result<()> {
        let about = fs::symlink_metadata(self.path.join(path)).map_err(|e| unreadable(path, &e))?;
        refuse_long(path, about.len())
    }

    /// A whole file as it is stored, unless it is larger than any of its kind.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let failed = |e: io::Error| unreadable(path, &e);
        let mut file = self.open(path)?;
        let size = file.metadata().map_err(failed)?.len();
        refuse_long(path, size)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // It may grow meanwhile.
        let read = (&mut file).take(size.saturating_add(1));
        { read }.read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

/// The error for a file that the system does not give.
pub(super) fn unreadable(path: &str, error: &io::Error) -> Error {
    Error::of(Code::UnreadableFile).at(path).because(error)
}

const NOT_REGULAR: &str = "not a regular file";

/// The error for what an archive cannot hold.
fn not_a_file(on_disk: &Path, link: bool) -> Error {
    let what = if link { "a symbolic link" } else { NOT_REGULAR };
    Error::of(Code::NotAFile)
        .with(Field::Path, on_disk.display().to_string())
        .with(Field::Found, what)
}

/// What lies in folders.
#[derive(Default)]
struct Found {
    /// Paths within the archive, and sizes in bytes.
    files: Vec<(String, u64)>,
    /// Where they are, and what begins the paths of what lies in them.
    folders: Vec<(PathBuf, String)>,
}

fn look(folders: &[(PathBuf, String)]) -> Result<Found> {
    let mut found = Found::default();
    for (folder, prefix) in folders {
        look_into(folder, prefix, &mut found)?;
    }
    Ok(found)
}

fn look_into(folder: &Path, prefix: &str, found: &mut Found) -> Result<()> {
    let failed = |e: io::Error| {
        let at = folder.display();
        match e.kind() {
            io::ErrorKind::NotFound => Error::new(
                ErrorKind::Usage,
                format!("{at} does not exist: give the folder of the backup"),
            ),
            io::ErrorKind::NotADirectory => Error::new(
                ErrorKind::Usage,
                format!("{at} is not a folder: give the folder of the backup"),
            ),
            _ => Error::new(
                ErrorKind::Failed,
                format!("cannot read the folder {at}: {e}"),
            ),
        }
    };
    for name in files::names(folder).map_err(failed)? {
        let on_disk = folder.join(&name);
        let Ok(name) = name.into_string() else {
            return Err(Error::damaged(format!(
                "{} has a name that is not text: an archive holds none; remove it",
                on_disk.display()
            )));
        };
        let path = format!("{prefix}{name}");
        let metadata = fs::symlink_metadata(&on_disk).map_err(failed)?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            found.folders.push((on_disk, format!("{path}/")));
        } else if kind.is_file() {
            found.files.push((path, metadata.len()));
        } else {
            return Err(not_a_file(&on_disk, kind.is_symlink()));
        }
    }
    Ok(())
}
