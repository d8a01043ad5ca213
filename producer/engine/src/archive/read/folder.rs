//! An archive's folder.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    Code, Error, ErrorKind, Field, Result,
    chain::Index,
    layout::{PathKind, VOLUMES, most_bytes, run_of},
    open::Listed,
};
use rustix::fs::{Mode, OFlags};

use super::{error::unreadable, objects::Objects, stored_file::StoredFile, volumes::Volumes};
use crate::archive::sums::{self, SUMS, SumLine, SumLines};
use crate::{
    files,
    storage::{Location, ReadAt, Store},
    threads,
};

/// Bytes of a small file.
const SMALL: u64 = 64 * 1024;
/// Folders for which a thread of its own is worth it.
const LEAST: usize = 64;

/// The folder of an archive: on this machine, or a prefix of an object store. Symbolic links are refused: an archive holds none, and one
/// could make a file outside the folder look like a part of it.
#[derive(Clone)]
pub struct Folder {
    /// On disk, where it is; otherwise for messages.
    path: PathBuf,
    /// None on disk.
    objects: Option<Objects>,
    /// None before the folder was listed.
    volumes: Arc<Mutex<Option<Arc<Volumes>>>>,
    /// Held while the volumes are read through.
    scanning: Arc<Mutex<()>>,
}

impl Folder {
    /// The folder at `path`; nothing is read yet.
    pub fn new(path: &Path) -> Self {
        Folder {
            path: path.to_owned(),
            objects: None,
            volumes: Arc::default(),
            scanning: Arc::default(),
        }
    }

    /// The folder at a location; nothing is read yet.
    ///
    /// # Errors
    /// When an object store cannot be reached in the way that was given.
    pub fn at(location: &Location) -> Result<Self> {
        match location {
            Location::Folder(path) => Ok(Folder::new(path)),
            Location::Store(address) => {
                let store = Store::open(address)
                    .map_err(|error| Error::new(ErrorKind::Failed, error.to_string()))?;
                Ok(Folder::of_store(store))
            }
        }
    }

    /// The objects of a store as a folder; they are listed when the first is read.
    pub fn of_store(store: Store) -> Self {
        Folder {
            objects: Some(Objects::new(store.clone())),
            ..Folder::new(Path::new(&store.address().to_string()))
        }
    }

    /// The folder of a run of the chain in this one.
    pub fn run(&self, run: u32) -> Self {
        let folder = Index::path(run);
        Folder {
            objects: self.objects.as_ref().map(|objects| objects.below(&folder)),
            ..Folder::new(&self.path.join(folder))
        }
    }

    /// Reads the list of `SHA256SUMS`; in a store, where each run has its own, those of all runs.
    ///
    /// # Errors
    /// When it is not there.
    pub fn sums(&self) -> Result<SumLines<'static>> {
        let own = sums::read(self.open_stored(SUMS)?);
        let Some(objects) = &self.objects else {
            return Ok(own);
        };
        let mut all = vec![own];
        for (path, _) in objects.list()? {
            let Some((run, SUMS)) = run_of(&path).filter(|(run, _)| *run > 1) else {
                continue;
            };
            let of_run = sums::read(self.open_stored(&path)?);
            let folder = Index::path(run);
            all.push(Box::new(of_run.map(move |line| {
                let line = line?;
                Ok(SumLine::new(
                    &format!("{folder}/{}", line.path),
                    &line.sha256,
                ))
            })));
        }
        Ok(sums::merge(all))
    }

    /// Refuses what is not there, or is no folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn require(&self) -> Result<()> {
        if let Some(objects) = &self.objects {
            return match objects.list()?.is_empty() {
                true => Err(on_disk(Code::FolderMissing, &self.path)),
                false => Ok(()),
            };
        }
        let read = fs::read_dir(&self.path);
        read.map(drop)
            .map_err(|e| unreadable_folder(&self.path, &e))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ids of the users who have a folder in it.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn users(&self) -> Result<BTreeSet<String>> {
        let mut users = BTreeSet::new();
        if self.objects.is_none() {
            let folder = self.path.join("users");
            match files::names(&folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                names => {
                    let names = names.map_err(|e| unreadable_folder(&folder, &e))?;
                    users.extend(names.into_iter().filter_map(|name| name.into_string().ok()));
                }
            }
        }
        if self.has(VOLUMES) {
            for (path, _) in self.list(false)?.files {
                users.extend(PathKind::of(&path).user().map(str::to_owned));
            }
        }
        Ok(users)
    }

    /// Whether there is a file of that name.
    pub fn has(&self, path: &str) -> bool {
        match &self.objects {
            Some(objects) => objects.size(path).is_ok_and(|size| size.is_some()),
            None => self.path.join(path).is_file(),
        }
    }

    /// Every file with its size in bytes, sorted by path, the members of volumes among them. With `scan`, the volumes are read through.
    pub fn list(&self, scan: bool) -> Result<Listed> {
        let stored = self.list_stored()?;
        let open = |path: &str| self.open_separate(path);
        let (volumes, listed) = Volumes::read(&open, stored, scan)?;
        *threads::lock(&self.volumes) = Some(Arc::new(volumes));
        Ok(listed)
    }

    /// Every file with its size in bytes, sorted by path, as they lie in the folder.
    pub fn list_stored(&self) -> Result<Vec<(String, u64)>> {
        if let Some(objects) = &self.objects {
            return objects.list();
        }
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
        files.sort();
        Ok(files)
    }

    /// Refuses symbolic links, and whatever else an archive cannot hold, anywhere in it.
    pub fn refuse_links(&self) -> Result<()> {
        if self.objects.is_some() {
            return Ok(());
        }
        let mut folders = vec![(self.path.clone(), String::new())];
        while let Some(folder) = folders.pop() {
            let mut found = Found::default();
            look_into(&folder.0, &folder.1, &mut found)?;
            folders.append(&mut found.folders);
        }
        Ok(())
    }

    /// Opens one of its files, or a member of one of its volumes.
    pub fn open(&self, path: &str) -> Result<StoredFile> {
        let within = run_of(path).map_or(path, |(_, within)| within);
        if !PathKind::of(within).is_separate() {
            if let Some(member) = self.member(path)? {
                return Ok(member);
            }
            if self.is_gone(path) {
                return Err(Error::of(Code::VolumeMember).at(path));
            }
        }
        self.open_stored(path)
    }

    /// Opens a file that is in no volume, to be read from its begin.
    fn open_stored(&self, path: &str) -> Result<StoredFile> {
        let file = self.open_separate(path)?;
        let size = file.size().map_err(|e| unreadable(path, &e))?;
        Ok(StoredFile::new(file, 0, size))
    }

    /// Opens a file, if it is there.
    pub fn find(&self, path: &str) -> Result<Option<StoredFile>> {
        if self.is_stored(path)? || self.volumes()?.has(path) {
            return self.open(path).map(Some);
        }
        Ok(None)
    }

    /// Whether there is something of that name that is in no volume.
    fn is_stored(&self, path: &str) -> Result<bool> {
        if let Some(objects) = &self.objects {
            return Ok(objects.size(path)?.is_some());
        }
        let there = fs::symlink_metadata(self.path.join(path));
        Ok(there.map_or_else(|e| e.kind() != io::ErrorKind::NotFound, |_| true))
    }

    /// Whether an index had named a file that neither a volume holds nor the folder.
    fn is_gone(&self, path: &str) -> bool {
        let volumes = threads::lock(&self.volumes).clone();
        let scanned = volumes.is_some_and(|volumes| volumes.are_scanned());
        scanned && !self.is_stored(path).unwrap_or(true)
    }

    /// Opens a member of a volume; none for a separate file.
    fn member(&self, path: &str) -> Result<Option<StoredFile>> {
        let volumes = self.volumes()?;
        if !volumes.has(path) {
            return Ok(None);
        }
        let open = |path: &str| self.open_separate(path);
        if let Some(member) = volumes.open(&open, path)? {
            return Ok(Some(member));
        }
        // An index is wrong, or the volume is damaged there.
        if volumes.are_indexed() {
            let _one_at_a_time = threads::lock(&self.scanning);
            if self.volumes()?.are_indexed() {
                self.list(true)?;
            }
            if let Some(member) = self.volumes()?.open(&open, path)? {
                return Ok(Some(member));
            }
        }
        Err(Error::of(Code::VolumeMember).at(path))
    }

    /// The volumes in it.
    fn volumes(&self) -> Result<Arc<Volumes>> {
        if let Some(known) = &*threads::lock(&self.volumes) {
            return Ok(known.clone());
        }
        self.list(false)?;
        let known = threads::lock(&self.volumes).clone();
        Ok(known.unwrap_or_default())
    }

    /// Opens a file that is in no volume.
    fn open_separate(&self, path: &str) -> Result<Arc<dyn ReadAt>> {
        if let Some(objects) = &self.objects {
            return objects.open(path);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(self.path.join(path), flags, Mode::empty())
            .map(File::from)
            .map_err(|e| unreadable(path, &e.into()))?;
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Arc::new(file)),
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

    /// A whole file as it is stored, unless it is larger than any of its kind.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let most = most_bytes(path);
        let bytes = self.read_up_to(path, most)?;
        bytes.ok_or_else(|| {
            Error::of(Code::FileTooLarge)
                .at(path)
                .with(Field::Limit, most)
        })
    }

    /// A whole file as it is stored; none where it has more bytes than `most`.
    pub(super) fn read_up_to(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let failed = |e: io::Error| unreadable(path, &e);
        let mut file = self.open(path)?;
        let size = file.size();
        if size > most {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // It may grow meanwhile.
        let read = (&mut file).take(size.saturating_add(1));
        { read }.read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }
}

const NOT_REGULAR: &str = "not a regular file";

/// The error for a folder that the system does not give.
fn unreadable_folder(folder: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => on_disk(Code::FolderMissing, folder),
        io::ErrorKind::NotADirectory => on_disk(Code::NotAFolder, folder),
        _ => on_disk(Code::UnreadableFolder, folder).because(error),
    }
}

fn on_disk(code: Code, path: &Path) -> Error {
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
