//! Takes the files of a capsule from the host. What cannot be read is a loss, which is named; nothing of the platform depends on it.

use std::{
    collections::BTreeSet,
    fs::{self, File, Metadata},
    io::{self, ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use decryptor_wasm::{layout::is_safe_path, manifest::Loss};
use zeroize::Zeroizing;

use super::{
    names::StoredNames,
    record::{CapsuleFile, CapsuleLink, CapsuleRecord, RECORD, stored},
};
use crate::{
    archive::{ArchiveError, ArchiveWriter},
    config::{Config, HostFolder},
    failure::Failure,
    files, interrupt,
    limits::{MAX_CAPSULE_BYTES, MAX_CAPSULE_FILE, MAX_CAPSULE_FILES},
    regular,
};

/// What was taken.
pub struct TakenCapsule {
    /// What the capsule says of itself.
    pub record: CapsuleRecord,
    /// Losses, for the manifest.
    pub losses: Vec<Loss>,
    /// Files and folders of which nothing is missing, and those that are not there.
    whole: BTreeSet<String>,
}

impl TakenCapsule {
    /// Whether the capsule holds a file or folder, or there is nothing to hold.
    pub fn holds(&self, place: &str) -> bool {
        self.whole.contains(place)
    }
}

/// A capsule that is being taken.
struct Taking<'t> {
    archive: &'t mut ArchiveWriter,
    names: StoredNames,
    taken: TakenCapsule,
    /// Where the folders really are that were taken.
    roots: Vec<PathBuf>,
    /// Bytes of the files so far.
    bytes: u64,
}

/// Takes the files that a platform has on its host into an archive; `record` says what is known before.
///
/// # Errors
/// When the archive cannot be written, or a signal came.
pub fn take(
    archive: &mut ArchiveWriter,
    config: &Config,
    record: CapsuleRecord,
) -> Result<TakenCapsule, Failure> {
    let mut taking = Taking {
        archive,
        names: StoredNames::default(),
        taken: TakenCapsule {
            record,
            losses: Vec::new(),
            whole: BTreeSet::new(),
        },
        roots: Vec::new(),
        bytes: 0,
    };
    let host = &config.host_files;
    for path in &host.settings {
        taking.named("config/", path)?;
    }
    for folder in &host.folders {
        taking.folder(folder)?;
    }
    for path in &host.certificates {
        taking.certificate(path)?;
    }
    taking.end()
}

impl Taking<'_> {
    /// A file that the operator names.
    fn named(&mut self, folder: &str, path: &Path) -> Result<(), Failure> {
        let from = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let lost = self.taken.losses.len();
        let shown = from.display().to_string();
        // Two settings may name one file.
        if !self
            .taken
            .record
            .files
            .iter()
            .any(|file| file.from == shown)
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let at = self.names.give(folder, &name);
            self.file(&at, &from, regular::follow(path))?;
        }
        self.note_whole(path, lost);
        Ok(())
    }

    /// A key or certificate, and the folder that certbot keeps it in.
    fn certificate(&mut self, path: &Path) -> Result<(), Failure> {
        if let Some(root) = certbot_folder(path) {
            self.folder(&HostFolder {
                kind: "letsencrypt",
                setting: "http.ssl",
                path: root,
                is_set: true,
            })?;
        }
        let is_inside = |root: &PathBuf| {
            let real = path.parent().map(regular::real);
            real.is_some_and(|real| real.starts_with(root))
        };
        match path.exists() && self.roots.iter().any(is_inside) {
            true => Ok(()),
            false => self.named("tls/", path),
        }
    }

    /// A folder, and all in it.
    fn folder(&mut self, folder: &HostFolder) -> Result<(), Failure> {
        let HostFolder { kind, setting, .. } = *folder;
        let path = &folder.path;
        if files::is_link_of_others(path) {
            let at = self.names.give("", kind);
            let why = "it is a link of somebody else's, and is not followed";
            self.lose(&at, path, &why);
            return Ok(());
        }
        let root = match path.canonicalize() {
            Ok(root) => root,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let absent = format!("{} ({setting})", path.display());
                self.taken.record.absent.push(absent);
                if !folder.is_set {
                    self.taken.whole.insert(path.display().to_string());
                }
                return Ok(());
            }
            Err(e) => {
                let at = self.names.give("", kind);
                self.lose(&at, path, &e);
                return Ok(());
            }
        };
        if self.roots.iter().any(|known| root.starts_with(known)) {
            return Ok(());
        }
        let at = self.names.give("", kind);
        let lost = self.taken.losses.len();
        self.tree(&at, &root, &root)?;
        self.note_whole(path, lost);
        self.roots.push(root);
        Ok(())
    }

    /// What is in a folder, which is `root` or in it.
    fn tree(&mut self, at: &str, folder: &Path, root: &Path) -> Result<(), Failure> {
        interrupt::check()?;
        let mut names = match files::names(folder) {
            Ok(names) => names,
            Err(e) => {
                self.lose(at, folder, &e);
                return Ok(());
            }
        };
        names.sort();
        for name in names {
            let path = folder.join(&name);
            let at = self.names.give(&format!("{at}/"), &name.to_string_lossy());
            let taken = &self.taken.record;
            let many = taken.files.len() + taken.links.len() + taken.losses.len();
            if many >= MAX_CAPSULE_FILES || self.bytes >= MAX_CAPSULE_BYTES {
                self.lose(&at, &path, &"there are too many files for a configuration, or they are too large: this one and those after it are left out");
                return Ok(());
            }
            match fs::symlink_metadata(&path) {
                _ if !is_safe_path(&stored(&at)) => {
                    self.lose(&at, &path, &"it lies too deep");
                }
                Ok(about) if about.is_dir() => self.tree(&at, &path, root)?,
                Ok(about) if about.is_symlink() => self.link(&at, &path, root)?,
                Ok(_) => self.file(&at, &path, regular::open(&path))?,
                Err(e) => self.lose(&at, &path, &e),
            }
        }
        Ok(())
    }

    /// A link: its file is taken where that lies in the same folder; all links are noted.
    fn link(&mut self, at: &str, path: &Path, root: &Path) -> Result<(), Failure> {
        let target = match (fs::read_link(path), path.canonicalize()) {
            (Ok(written), Ok(target)) => {
                self.taken.record.links.push(CapsuleLink {
                    from: path.display().to_string(),
                    to: written.display().to_string(),
                });
                target
            }
            (Err(e), _) | (_, Err(e)) => {
                self.lose(at, path, &format!("it is a link that leads nowhere: {e}"));
                return Ok(());
            }
        };
        if !target.starts_with(root) {
            let target = target.display();
            self.lose(
                at,
                path,
                &format!(
                    "it is a link to {target}, which is not in this folder, and is not followed"
                ),
            );
            return Ok(());
        }
        // A folder comes by itself.
        match target.is_dir() {
            true => Ok(()),
            false => self.file(at, path, regular::open(&target)),
        }
    }

    /// A file that was opened, or could not be.
    fn file(&mut self, at: &str, from: &Path, opened: io::Result<File>) -> Result<(), Failure> {
        interrupt::check()?;
        let (bytes, about) = match opened.and_then(read) {
            Ok(read) => read,
            Err(e) => {
                self.lose(at, from, &e);
                return Ok(());
            }
        };
        self.store(&stored(at), &bytes)?;
        self.bytes += bytes.len() as u64;
        self.taken.record.files.push(CapsuleFile {
            path: at.to_owned(),
            from: from.display().to_string(),
            bytes: bytes.len() as u64,
            mode: about.mode() & 0o7777,
            uid: about.uid(),
            gid: about.gid(),
            mtime: about.mtime(),
        });
        Ok(())
    }

    fn store(&mut self, path: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        let mut file = self.archive.file(path)?;
        file.write(bytes)?;
        let entry = file.finish(None)?;
        self.archive.add_file(entry)
    }

    fn lose(&mut self, at: &str, from: &Path, why: &dyn std::fmt::Display) {
        let what = format!("{}: {why}", from.display());
        self.taken.losses.push(Loss {
            user_id: None,
            collection: None,
            path: Some(stored(at)),
            what: what.clone(),
        });
        self.taken.record.losses.push(what);
    }

    /// Notes that nothing of a place is missing, where nothing was lost since there were so many losses.
    fn note_whole(&mut self, place: &Path, lost: usize) {
        if self.taken.losses.len() == lost {
            self.taken.whole.insert(place.display().to_string());
        }
    }

    /// Writes the record, last.
    fn end(mut self) -> Result<TakenCapsule, Failure> {
        let record = serde_json::to_vec_pretty(&self.taken.record)
            .map_err(|e| ArchiveError::io(Path::new(RECORD), e.into()))?;
        self.store(RECORD, &record)?;
        Ok(self.taken)
    }
}

/// Reads a file whole: it may hold a key.
fn read(file: File) -> io::Result<(Zeroizing<Vec<u8>>, Metadata)> {
    let large = || io::Error::other("it is too large for a file of a configuration (16 MiB)");
    let about = file.metadata()?;
    if about.len() > MAX_CAPSULE_FILE {
        return Err(large());
    }
    // With room for all of it, so that no copy of a part stays behind.
    let room = usize::try_from(about.len()).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_CAPSULE_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_CAPSULE_FILE {
        true => Err(large()),
        false => Ok((bytes, about)),
    }
}

/// The folder of certbot around `live/NAME/FILE`.
fn certbot_folder(path: &Path) -> Option<PathBuf> {
    let live = path.parent()?.parent()?;
    let root = live.parent()?;
    (live.file_name()? == "live" && root.join("archive").is_dir()).then(|| root.to_owned())
}
