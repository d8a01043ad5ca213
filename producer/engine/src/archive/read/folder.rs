//! An archive's folder.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    Code, Error, ErrorKind, Field, FileList, Result,
    chain::Index,
    layout::{PathKind, SIGNATURE, VOLUMES, most_bytes, run_of},
    open::Listed,
    volume::VolumeReading,
};
use rustix::fs::{Mode, OFlags};

use super::{
    disk::{self, NOT_REGULAR, on_disk, unreadable_folder},
    error::unreadable,
    objects::Objects,
    stored_file::StoredFile,
    tar::Tar,
    volumes::Volumes,
};
use crate::archive::sums::{self, SUMS, SumLine, SumLines};
use crate::{
    files,
    storage::{Location, ObjectStore, ReadAt, Stream},
    threads,
};

/// Bytes of a small file.
const SMALL: u64 = 64 * 1024;

/// The folder of an archive: on this machine, in a single tar file, or a prefix of an object store. Symbolic links are refused: an archive holds none, and one
/// could make a file outside the folder look like a part of it.
#[derive(Clone)]
pub struct Folder {
    /// On disk, where it is; otherwise for messages.
    path: PathBuf,
    /// None where it is none of a store.
    pub(super) objects: Option<Objects>,
    /// None where it is in no tar file.
    tar: Option<Tar>,
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
            tar: None,
            volumes: Arc::default(),
            scanning: Arc::default(),
        }
    }

    /// The folder at a location; nothing is read yet.
    ///
    /// # Errors
    /// When an object store cannot be reached in the way that was given, or a file is no archive.
    pub fn at(location: &Location) -> Result<Self> {
        match location {
            Location::Folder(path) if path.is_file() => {
                let name = path.display().to_string();
                let file = File::open(path).map_err(|e| unreadable(&name, &e))?;
                Folder::of_tar(name, file)
            }
            Location::Folder(path) => Ok(Folder::new(path)),
            Location::Stream(stream) => Folder::of_tar(Stream::INPUT.to_owned(), stream.keep()?),
            Location::Store(address) => {
                let store = ObjectStore::open(address)
                    .map_err(|error| Error::new(ErrorKind::Failed, error.to_string()))?;
                Ok(Folder::of_store(store))
            }
        }
    }

    /// The objects of a store as a folder; they are listed when the first is read.
    pub fn of_store(store: ObjectStore) -> Self {
        Folder {
            objects: Some(Objects::new(store.clone())),
            ..Folder::new(Path::new(&store.address().to_string()))
        }
    }

    /// The archive in a single tar file.
    fn of_tar(name: String, file: File) -> Result<Self> {
        let path = PathBuf::from(&name);
        Ok(Folder {
            tar: Some(Tar::new(name, file)?),
            ..Folder::new(&path)
        })
    }

    /// The folder of a run of the chain in this one.
    pub fn run(&self, run: u32) -> Self {
        let folder = Index::path(run);
        let mut of_run = Folder {
            objects: self.objects.as_ref().map(|objects| objects.below(&folder)),
            tar: self.tar.as_ref().map(|tar| tar.below(&folder)),
            ..Folder::new(&self.path.join(folder))
        };
        if of_run.tar.is_some() {
            // Its members are those of the whole.
            of_run.volumes = self.volumes.clone();
            of_run.scanning = self.scanning.clone();
        }
        of_run
    }

    /// Reads the list of `SHA256SUMS`; of a chain whose runs list themselves, as in a store, those of all runs.
    ///
    /// # Errors
    /// When it is not there.
    pub fn sums(&self) -> Result<SumLines<'static>> {
        let own = self.own_sums()?;
        if !self.lists_itself() {
            return Ok(own);
        }
        let mut all = vec![own];
        for (path, _) in self.list_stored()?.iter() {
            let Some((run, SUMS)) = run_of(&path).filter(|(run, _)| *run > 1) else {
                continue;
            };
            let folder = Index::path(run);
            // One that was not finished is no part of the chain.
            if !self.has(&format!("{folder}/{SIGNATURE}")) {
                continue;
            }
            let of_run = sums::read(self.open_stored(&path)?);
            all.push(Box::new(of_run.map(move |line| {
                let SumLine { path, sha256 } = line?;
                Ok(SumLine::new(&format!("{folder}/{path}"), &sha256))
            })));
        }
        Ok(sums::merge(all))
    }

    /// Refuses what is not there, or is no folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn require(&self) -> Result<()> {
        if self.tar.is_some() {
            return Ok(());
        }
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
        if self.objects.is_none() && self.tar.is_none() {
            let folder = self.path.join("users");
            match files::names(&folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                names => {
                    let names = names.map_err(|e| unreadable_folder(&folder, &e))?;
                    users.extend(names.into_iter().filter_map(|name| name.into_string().ok()));
                }
            }
        }
        if self.tar.is_some() || self.has(VOLUMES) {
            for (path, _) in self.list(false)?.files.iter() {
                users.extend(PathKind::of(&path).user().map(str::to_owned));
            }
        }
        Ok(users)
    }

    /// Whether there is a file of that name.
    pub fn has(&self, path: &str) -> bool {
        match (&self.objects, &self.tar) {
            (Some(objects), _) => objects.size(path).is_ok_and(|size| size.is_some()),
            (None, Some(tar)) => self.volumes().is_ok_and(|all| all.has(&tar.path(path))),
            (None, None) => self.path.join(path).is_file(),
        }
    }

    /// Every file with its size in bytes, sorted by path, the members of volumes among them. With `scan`, the volumes are read through.
    pub fn list(&self, scan: bool) -> Result<Listed> {
        // Those of before would take as much memory again.
        *threads::lock(&self.volumes) = None;
        self.read_volumes(scan)
    }

    /// The same while others read: they have the volumes of before until those are replaced.
    fn read_volumes(&self, scan: bool) -> Result<Listed> {
        let reading = match &self.tar {
            Some(tar) => tar.reading(scan),
            None => VolumeReading::new(self.list_stored()?, scan),
        };
        let open = |path: &str| self.open_separate(path);
        let (volumes, mut listed) = Volumes::read(&open, reading)?;
        *threads::lock(&self.volumes) = Some(Arc::new(volumes));
        if let Some(objects) = &self.objects {
            listed.findings.extend(objects.findings()?);
        }
        Ok(match &self.tar {
            Some(tar) => tar.own(listed),
            None => listed,
        })
    }

    /// Every file with its size in bytes, sorted by path, as they lie in the folder.
    pub fn list_stored(&self) -> Result<FileList> {
        if let Some(objects) = &self.objects {
            return objects.list();
        }
        disk::list(&self.path)
    }

    /// Whether a store keeps other versions of its objects than those that are read.
    pub fn is_overwritten(&self) -> Result<bool> {
        let objects = self.objects.as_ref();
        objects.map_or(Ok(false), |objects| Ok(!objects.findings()?.is_empty()))
    }

    /// Refuses symbolic links, and whatever else an archive cannot hold, anywhere in it.
    pub fn refuse_links(&self) -> Result<()> {
        if self.objects.is_some() || self.tar.is_some() {
            return Ok(());
        }
        disk::refuse_links(&self.path)
    }

    /// Opens one of its files, or a member of one of its volumes.
    pub fn open(&self, path: &str) -> Result<StoredFile> {
        if let Some(tar) = &self.tar {
            let missing = || unreadable(path, &io::ErrorKind::NotFound.into());
            return self.member(&tar.path(path))?.ok_or_else(missing);
        }
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
        let there = match &self.tar {
            Some(tar) => self.volumes()?.has(&tar.path(path)),
            None => self.is_stored(path)? || self.volumes()?.has(path),
        };
        there.then(|| self.open(path)).transpose()
    }

    /// The volume that a file lies in, as far as its index or headers tell, and where its header begins.
    pub fn place(&self, path: &str) -> Result<Option<(String, u64)>> {
        Ok(self.volumes()?.place(path))
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
                self.read_volumes(true)?;
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
        if let Some(tar) = &self.tar {
            return Ok(tar.file.clone());
        }
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
