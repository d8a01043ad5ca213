//! A folder on disk: what lies in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{Code, Error, Field, FileList, Result};

use crate::{files, threads};

/// Folders for which a thread of its own is worth it.
const LEAST: usize = 64;

/// Every file in it with its size in bytes, sorted by path.
pub(super) fn list(folder: &Path) -> Result<FileList> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    let mut level = vec![(folder.to_owned(), String::new())];
    // Folders of one level are looked into side by side: there may be several for each user.
    while !level.is_empty() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = level.len().div_ceil(cores).max(LEAST);
        let shares: Vec<&[_]> = level.chunks(share).collect();
        for looked in threads::map(&shares, |share| look(share)) {
            let looked = looked?;
            // Paths of one folder take few bytes when they follow one another.
            files.push(FileList::from_iter(looked.files));
            folders.extend(looked.folders);
        }
        level = std::mem::take(&mut folders);
    }
    Ok(files.iter().flat_map(FileList::iter).collect())
}

/// Refuses symbolic links, and whatever else an archive cannot hold, anywhere in it.
pub(super) fn refuse_links(folder: &Path) -> Result<()> {
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some(folder) = folders.pop() {
        let mut found = Found::default();
        look_into(&folder.0, &folder.1, &mut found)?;
        folders.append(&mut found.folders);
    }
    Ok(())
}

/// What is neither a file nor a folder nor a link.
pub(super) const NOT_REGULAR: &str = "not a regular file";

/// The error for a folder that the system does not give.
pub(super) fn unreadable_folder(folder: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => on_disk(Code::FolderMissing, folder),
        io::ErrorKind::NotADirectory => on_disk(Code::NotAFolder, folder),
        _ => on_disk(Code::UnreadableFolder, folder).because(error),
    }
}

pub(super) fn on_disk(code: Code, path: &Path) -> Error {
    Error::of(code).at(&path.display().to_string())
}

/// The error for what an archive cannot hold.
fn not_a_file(path: &Path, link: bool) -> Error {
    let what = if link { "a symbolic link" } else { NOT_REGULAR };
    on_disk(Code::NotAFile, path).with(Field::Found, what)
}

/// Files and folders that were found.
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
    let failed = |e: io::Error| unreadable_folder(folder, &e);
    for name in files::names(folder).map_err(failed)? {
        let on_disk = folder.join(&name);
        let Ok(name) = name.into_string() else {
            return Err(self::on_disk(Code::NameNotText, &on_disk));
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
