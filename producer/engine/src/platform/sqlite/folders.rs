//! Unknown contents of the folder of all users: files that this version does not know, and files of nobody.

use super::file::SqliteFile;
use super::reading::Reading;
use super::{SqlitePlatform, unknown};
use crate::files;
use crate::platform::unknown::{CountUnit, Counted, Unknown};
use crate::platform::{
    Attachment, Collection, ExportError, IndexSink, PlatformError, PlatformLoss, SinkError, User,
    UserSink,
};
use std::collections::HashSet;
use std::fs::FileType;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// In the folder of a user or of a series.
const OF_OWNERS: [&str; 5] = [
    "account-1.0.0.sqlite",
    AUDIT,
    "baseStorage-1.0.0.sqlite",
    "local-1.0.0.sqlite",
    SERIES,
];
const AUDIT: &str = "audit-1.0.0.sqlite";
const SERIES: &str = "series-1.0.0.sqlite";
const ATTACHMENTS: &str = "attachments";
/// Beside these folders.
const BESIDE: [&str; 4] = [
    "user-index.db",
    "audit-db-version-1.0.0.txt",
    ".pryv-backup-restore",
    "lost+found",
];
const SHARED: &str = "baseStorage.sqlite";
/// Folders of one letter above that of an owner.
const DEPTH: usize = 3;

const FILE: &str = "a file that this version does not know";
const FOLDER: &str = "a folder that this version does not know";
const LINK: &str = "a link, which is not followed";

/// Which stores are in these files, besides attachments.
#[derive(Clone, Copy)]
pub struct Held {
    /// The base.
    pub base: bool,
    /// Series.
    pub series: bool,
}

/// Tells the users who are there now.
pub type Now<'a> = &'a dyn Fn() -> Result<Vec<User>, PlatformError>;

/// Kind of a folder or file, by its place.
enum FolderKind {
    Owner,
    /// Files that all users share.
    Shared,
    Known,
    Stray,
}

/// Takes audit records of a user who is no more.
struct Kept<'a> {
    user: &'a User,
    sink: &'a mut dyn IndexSink,
}

impl UserSink for Kept<'_> {
    fn record(&mut self, _: Collection, line: &[u8]) -> Result<(), SinkError> {
        self.sink.kept_audit(&self.user.user_id, line)
    }

    fn attachment(
        &mut self,
        _: &Attachment,
        _: Option<u64>,
        _: &mut dyn Read,
    ) -> Result<(), SinkError> {
        Ok(())
    }

    fn loss(&mut self, loss: PlatformLoss) -> Result<(), SinkError> {
        self.sink.loss(loss);
        Ok(())
    }
}

/// A name in a folder.
struct Entry {
    name: String,
    kind: FileType,
    path: PathBuf,
}

impl SqlitePlatform {
    /// Looks at the whole folder. `users` are those of the backup; `now` tells those who are there when it is asked, since somebody may
    /// have come meanwhile.
    pub fn beside(
        &self,
        held: Held,
        users: &[User],
        now: Now<'_>,
    ) -> Result<Vec<Unknown>, PlatformError> {
        let mut owners = Vec::new();
        level(&self.users_dir, 0, &mut |entry, place| {
            match place {
                FolderKind::Owner => {
                    self.owner(&entry.path)?;
                    owners.push(entry);
                }
                FolderKind::Shared => self.strays(&entry.path, &[SHARED])?,
                FolderKind::Known => {}
                FolderKind::Stray => stray(&entry, &self.seen.counted)?,
            }
            Ok(())
        })?;
        let mut found = Vec::new();
        let in_files = held.series && self.has_series_files();
        for owner in without_owner(owners, users, now)? {
            found.extend(match owner.name.starts_with("user.") {
                true if in_files => left_series(&owner)?,
                true => None,
                false => stranger(&owner, held, in_files)?,
            });
        }
        if let Some(server) = &self.series {
            found.extend(server.without_owner(users, now)?);
        }
        if let Some(bucket) = self.attachments.bucket() {
            found.extend(bucket.without_owner(users, now)?);
        }
        found.extend(self.seen.counted.take());
        if let Some(index) = &self.index {
            found.extend(index.unknown()?);
        }
        Ok(found)
    }

    /// Hands over the audit trails of users who are no more.
    pub fn kept_audit(
        &self,
        users: &[User],
        now: Now<'_>,
        sink: &mut dyn IndexSink,
    ) -> Result<(), ExportError> {
        let mut owners = Vec::new();
        level(&self.users_dir, 0, &mut |entry, place| {
            if matches!(place, FolderKind::Owner) && entry.path.join(AUDIT).exists() {
                owners.push(entry);
            }
            Ok(())
        })?;
        let mut owners = without_owner(owners, users, now)?;
        owners.sort_by(|a, b| a.name.cmp(&b.name));
        for owner in owners {
            let user = User {
                user_id: owner.name,
                ..User::default()
            };
            let path = owner.path.join(AUDIT);
            let reading = &mut Reading {
                user: &user,
                sink: &mut Kept { user: &user, sink },
            };
            let outcome = super::if_there(&path, |file| super::events::export_audit(file, reading));
            reading.survive("audit", &path, outcome)?;
        }
        Ok(())
    }

    /// The same of the folder of one user.
    pub fn beside_one(&self, user: &User) -> Result<Vec<Unknown>, PlatformError> {
        for owner in user.namespaces() {
            if let Some(folder) = super::folder(&self.users_dir, &owner) {
                self.owner(&folder)?;
            }
        }
        Ok(self.seen.counted.take())
    }

    fn owner(&self, folder: &Path) -> Result<(), PlatformError> {
        let known: Vec<&str> = OF_OWNERS.into_iter().chain([ATTACHMENTS]).collect();
        self.strays(folder, &known)
    }

    fn strays(&self, folder: &Path, known: &[&str]) -> Result<(), PlatformError> {
        let mut entries = entries(folder)?;
        entries.retain(|entry| !known.iter().any(|known| is(&entry.name, known)));
        entries
            .iter()
            .try_for_each(|entry| stray(entry, &self.seen.counted))
    }
}

/// Walks through the folders above those of owners.
fn level(
    folder: &Path,
    depth: usize,
    visit: &mut dyn FnMut(Entry, FolderKind) -> Result<(), PlatformError>,
) -> Result<(), PlatformError> {
    for entry in entries(folder)? {
        let letter = entry.kind.is_dir() && entry.name.chars().count() == 1;
        if depth < DEPTH && letter {
            level(&entry.path, depth + 1, visit)?;
            continue;
        }
        let place = match depth {
            DEPTH if entry.kind.is_dir() => FolderKind::Owner,
            0 if entry.name == "_shared" => FolderKind::Shared,
            0 if BESIDE.iter().any(|known| is(&entry.name, known)) => FolderKind::Known,
            _ => FolderKind::Stray,
        };
        visit(entry, place)?;
    }
    Ok(())
}

/// The owners who are neither in the backup nor have come since.
fn without_owner(
    mut owners: Vec<Entry>,
    users: &[User],
    now: Now<'_>,
) -> Result<Vec<Entry>, PlatformError> {
    let mut without = |users: &[User]| {
        let known: HashSet<String> = users.iter().flat_map(User::namespaces).collect();
        owners.retain(|owner| !known.contains(&owner.name));
        owners.is_empty()
    };
    if !without(users) {
        without(&now()?);
    }
    Ok(owners)
}

/// Points that are kept under a name that no account bears.
fn left_series(owner: &Entry) -> Result<Option<Unknown>, PlatformError> {
    let points = rows(&owner.path.join(SERIES))?;
    Ok((points > 0).then(|| Unknown::series(&owner.name, points)))
}

/// The files of a user who is not in the index.
fn stranger(owner: &Entry, held: Held, in_files: bool) -> Result<Option<Unknown>, PlatformError> {
    let mut all = 0;
    for name in OF_OWNERS {
        let counts = match name {
            AUDIT => false,
            SERIES => in_files,
            _ => held.base,
        };
        if counts {
            all += rows(&owner.path.join(name))?;
        }
    }
    let files = files(&owner.path.join(ATTACHMENTS))?;
    Ok((all > 0 || files > 0).then(|| Unknown::stranger(&owner.name, all, files)))
}

/// Counts what this version does not know: by its rows, where it is a database.
fn stray(entry: &Entry, counted: &Counted) -> Result<(), PlatformError> {
    let name = entry.name.clone();
    if entry.kind.is_dir() {
        counted.add(name, FOLDER, CountUnit::Files, files(&entry.path)?);
    } else if entry.kind.is_symlink() {
        counted.add(name, LINK, CountUnit::Files, 1);
    } else if entry.kind.is_file() {
        let companion = ["-wal", "-shm", "-journal"]
            .iter()
            .any(|ending| name.ends_with(ending));
        let database = SqliteFile::open(&entry.path).and_then(|file| unknown::rows(&file));
        match database {
            Ok(rows) => counted.add(name, FILE, CountUnit::Rows, rows),
            Err(_) if companion => {}
            Err(_) => {
                let bytes = std::fs::symlink_metadata(&entry.path).map_or(0, |file| file.len());
                counted.add(name, FILE, CountUnit::Bytes, bytes);
            }
        }
    }
    Ok(())
}

/// Rows of a file that may be absent.
fn rows(path: &Path) -> Result<u64, PlatformError> {
    match path.exists() {
        true => unknown::rows(&SqliteFile::open(path)?),
        false => Ok(0),
    }
}

/// Files below a folder that may be absent; links are not followed.
fn files(folder: &Path) -> Result<u64, PlatformError> {
    let mut all = 0;
    for entry in entries(folder)? {
        all += match entry.kind.is_dir() {
            true => files(&entry.path)?,
            false => 1,
        };
    }
    Ok(all)
}

/// Entries of a folder that may be absent.
fn entries(folder: &Path) -> Result<Vec<Entry>, PlatformError> {
    let failed = |source| PlatformError::Io {
        path: folder.to_owned(),
        source,
    };
    let found = match files::names(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(failed)?,
    };
    let mut all = Vec::new();
    for name in found {
        let path = folder.join(&name);
        let about = match std::fs::symlink_metadata(&path) {
            // A user who was deleted meanwhile.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            about => about.map_err(failed)?,
        };
        all.push(Entry {
            name: name.to_string_lossy().into_owned(),
            kind: about.file_type(),
            path,
        });
    }
    Ok(all)
}

/// Whether a name is that of a known file, or of what SQLite puts beside it.
fn is(name: &str, known: &str) -> bool {
    let rest = name.strip_prefix(known);
    rest.is_some_and(|rest| matches!(rest, "" | "-wal" | "-shm" | "-journal"))
}
