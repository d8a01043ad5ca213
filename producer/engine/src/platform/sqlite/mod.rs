//! The SQLite engine: one folder per user, one file per kind of record.

mod account;
mod aside;
mod attachments;
mod base;
mod connect;
pub mod copied;
mod events;
mod export;
pub(super) mod file;
mod file_fingerprint;
mod folders;
pub(super) mod reading;
mod schema;
pub(super) mod series;
mod shared;
mod unknown;
pub(super) mod write;

use super::attachments::AttachmentPlace;
use super::influx::Influx;
use super::s3::AttachmentStore;
use super::unknown::ExportNotes;
use super::user_folder::folder;
use super::username_owners;
pub(super) use super::username_owners::{UsernameOwners, without_owner};
use super::{
    ExportError, IndexSink, Platform, PlatformError, Scope, Target, Unknown, User, each_user,
    index, rqlite,
};
use crate::threads::lock;
use file::SqliteFile;
pub(super) use folders::Held;
use reading::{if_there, with_file};
use schema::KNOWN;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use unknown::Columns;

/// A platform whose base engine is SQLite.
pub struct SqlitePlatform {
    users_dir: PathBuf,
    index: Option<rqlite::Rqlite>,
    /// The server of the series, which are in files otherwise.
    series: Option<Influx>,
    attachments: AttachmentPlace,
    /// The users at the beginning, and when that was: who comes later is of the next backup.
    beginning: Mutex<Option<Arc<Beginning>>>,
    /// Notes of the export.
    pub(super) seen: ExportNotes,
}

/// See [`SqlitePlatform::beginning`].
struct Beginning {
    /// Seconds since 1970.
    instant: f64,
    /// In the order of the index.
    users: Arc<Vec<User>>,
    /// The names that several users bore.
    owners: UsernameOwners,
}

/// How often a file is read again that the platform wrote to meanwhile.
const PATIENCE: usize = 5;

/// Reads again what the platform wrote to while it was read.
fn until_unchanged<T>(
    mut read: impl FnMut() -> Result<T, PlatformError>,
) -> Result<T, PlatformError> {
    for _ in 0..PATIENCE {
        match read() {
            Err(PlatformError::Changed { .. }) => {}
            read => return read,
        }
    }
    read()
}

impl SqlitePlatform {
    /// A platform in `users_dir`; `index` is left out of the backup when `None`.
    pub(super) fn new(users_dir: PathBuf, index: Option<rqlite::Rqlite>) -> Self {
        Self {
            attachments: AttachmentPlace::Folders(users_dir.clone()),
            users_dir,
            index,
            series: None,
            beginning: Mutex::default(),
            seen: ExportNotes::default(),
        }
    }

    /// The same, with the series on a server where there is one.
    pub(super) fn with_series(self, series: Option<Influx>) -> Self {
        Self { series, ..self }
    }

    /// The same, with the attachments in a bucket where there is one.
    pub(super) fn with_bucket(self, bucket: Option<AttachmentStore>) -> Self {
        match bucket {
            Some(store) => Self {
                attachments: AttachmentPlace::Bucket(store),
                ..self
            },
            None => self,
        }
    }

    /// Where the attachments are.
    pub(super) fn attachments(&self) -> &AttachmentPlace {
        &self.attachments
    }

    /// Whether the series are in files.
    pub(super) fn has_series_files(&self) -> bool {
        self.series.is_none()
    }

    fn beginning(&self) -> Result<Arc<Beginning>, PlatformError> {
        let mut beginning = lock(&self.beginning);
        if let Some(beginning) = &*beginning {
            return Ok(beginning.clone());
        }
        let instant = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        // Somebody may register just now.
        let users = until_unchanged(|| self.index())?;
        Ok(beginning
            .insert(Arc::new(Beginning {
                instant,
                owners: username_owners::of(&users),
                users: Arc::new(users),
            }))
            .clone())
    }

    /// The users who are there now with their names, in the order of the index. An account that cannot be read is told of when its user is read.
    pub(super) fn index(&self) -> Result<Vec<User>, PlatformError> {
        let file = SqliteFile::open(&self.users_dir.join("user-index.db"))?;
        let names = shared::pairs(&file, "SELECT username, userId FROM id4name ORDER BY rowid")?;
        let aliases = match file.has_table("alias4id")? {
            true => shared::pairs(&file, "SELECT alias, userId FROM alias4id ORDER BY alias")?,
            false => Vec::new(),
        };
        file.unchanged()?;
        let mut users: Vec<User> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for [username, user_id] in names {
            // The index does not keep an id from having two names; the later one is the current one.
            let place = *places.entry(user_id.clone()).or_insert(users.len());
            match users.get_mut(place) {
                Some(known) => {
                    let earlier = std::mem::replace(&mut known.username, username);
                    known.other_names.push(earlier);
                }
                None => users.push(User {
                    user_id,
                    username,
                    ..User::default()
                }),
            }
        }
        for [alias, user_id] in aliases {
            if let Some(user) = places.get(&user_id).and_then(|at| users.get_mut(*at)) {
                user.other_names.push(alias);
            }
        }
        for user in &mut users {
            let account = folder(&self.users_dir, &user.user_id);
            let account = account.and_then(|f| SqliteFile::open(&f.join(ACCOUNT)).ok());
            let remembered = account.and_then(|file| account::usernames(&file).ok());
            user.other_names.extend(remembered.unwrap_or_default());
            user.other_names.retain(|name| *name != user.username);
            user.other_names.sort_unstable();
            user.other_names.dedup();
        }
        Ok(users)
    }
}

/// Opening more files for an estimate is not worth it.
const FEW: usize = 50;
/// Passwords, key-values and account fields.
const ACCOUNT: &str = "account-1.0.0.sqlite";

impl Platform for SqlitePlatform {
    fn users(&self) -> Result<Arc<Vec<User>>, PlatformError> {
        Ok(self.beginning()?.users.clone())
    }

    fn instant(&self) -> Result<f64, PlatformError> {
        Ok(self.beginning()?.instant)
    }

    fn records(&self) -> Option<u64> {
        let beginning = self.beginning().ok()?;
        (beginning.users.len() <= FEW).then(|| self.count(&beginning.users))?
    }

    fn export_all(
        &self,
        users: &[User],
        jobs: usize,
        target: &dyn Target,
    ) -> Result<(), ExportError> {
        self.attachments.check()?;
        each_user(users, jobs, target, |user, sink| {
            self.export_user(user, sink)
        })
    }

    fn unknown(&self, scope: &Scope<'_>) -> Result<Vec<Unknown>, PlatformError> {
        if let Some(only) = scope.only {
            return self.beside_one(only.user);
        }
        let held = Held {
            base: true,
            series: true,
        };
        let users = &self.beginning()?.users;
        self.beside(held, users, &|| self.index())
    }

    fn migration(&self) -> Option<u32> {
        self.index.as_ref()?.migration().ok()?
    }

    fn notes(&self) -> Vec<String> {
        self.seen.notes()
    }

    fn export_platform(
        &self,
        scope: &Scope<'_>,
        sink: &mut dyn IndexSink,
    ) -> Result<(), ExportError> {
        if scope.only.is_none() {
            let users = &self.beginning()?.users;
            self.kept_audit(users, &|| self.index(), sink)?;
        }
        self.export_shared(scope, sink)
    }
}

impl SqlitePlatform {
    /// Hands over what belongs to no user, except for audit trails of users who are no more.
    pub(super) fn export_shared(
        &self,
        scope: &Scope<'_>,
        sink: &mut dyn IndexSink,
    ) -> Result<(), ExportError> {
        if let Some(index) = &self.index {
            index.export(scope, sink)?;
        }
        with_file(&self.users_dir.join("user-index.db"), |file| {
            unknown::look(file, &KNOWN.index, Columns::Fixed, &self.seen.counted)?;
            match index::with_aliases(scope) {
                true => shared::aliases(file, scope, sink),
                false => Ok(()),
            }
        })?;
        // A platform on which nobody ever logged in has no such file.
        let path = self.users_dir.join("_shared/baseStorage.sqlite");
        if scope.ephemeral {
            if_there(&path, |file| {
                unknown::look(file, &KNOWN.shared, Columns::Fixed, &self.seen.counted)?;
                shared::ephemeral(file, scope, sink)
            })?;
        }
        Ok(())
    }
}
