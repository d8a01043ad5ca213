//! The SQLite engine: one folder per user, one file per kind of record.

mod account;
mod aside;
mod attachments;
mod base;
mod connect;
mod events;
pub(super) mod file;
mod file_fingerprint;
mod folders;
pub(super) mod reading;
mod schema;
pub(super) mod series;
mod shared;
mod unknown;
mod username_owners;
pub(super) mod write;

use super::unknown::ExportNotes;
use super::user_folder::folder;
use super::{
    Collection, ExportError, IndexSink, Platform, PlatformError, Scope, Target, Unknown, User,
    UserSink, each_user, index, rqlite, user_folder,
};
use crate::regular;
use crate::threads::lock;
use file::SqliteFile;
pub(super) use folders::Held;
use reading::{Reading, if_there, with_file};
use schema::{KNOWN, SchemaTables};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use unknown::Columns;
pub(super) use username_owners::{Owner, UsernameOwners, UsersOfName, Whose, without_owner};

/// A platform whose base engine is SQLite.
pub struct SqlitePlatform {
    users_dir: PathBuf,
    index: Option<rqlite::Rqlite>,
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
    users: Vec<User>,
    /// The names that several users bore.
    owners: UsernameOwners,
}

/// How often a file is read again that the platform wrote to meanwhile.
const PATIENCE: usize = 5;

impl SqlitePlatform {
    /// A platform in `users_dir`; `index` is left out of the backup when `None`.
    pub(super) fn new(users_dir: PathBuf, index: Option<rqlite::Rqlite>) -> Self {
        Self {
            users_dir,
            index,
            beginning: Mutex::default(),
            seen: ExportNotes::default(),
        }
    }

    fn beginning(&self) -> Result<Arc<Beginning>, PlatformError> {
        let mut beginning = lock(&self.beginning);
        if let Some(beginning) = &*beginning {
            return Ok(beginning.clone());
        }
        let instant = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        let mut read = self.index();
        for _ in 0..PATIENCE {
            // Somebody registers just now.
            if !matches!(read, Err(PlatformError::Changed { .. })) {
                break;
            }
            read = self.index();
        }
        let users = read?;
        Ok(beginning
            .insert(Arc::new(Beginning {
                instant,
                owners: username_owners::of(&users),
                users,
            }))
            .clone())
    }

    /// The users with their names, in the order of the index. An account that cannot be read is told of when its user is read.
    fn index(&self) -> Result<Vec<User>, PlatformError> {
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

    /// Hands over the audit trail, which begins with the first audited call: a user may have none.
    pub(super) fn export_audit(&self, reading: &mut Reading<'_>) -> Result<(), ExportError> {
        let Some(folder) = folder(&self.users_dir, &reading.user.user_id) else {
            return Ok(());
        };
        let path = folder.join("audit-1.0.0.sqlite");
        if reading.as_it_was(&[&path], &[Collection::Audit]) {
            return Ok(());
        }
        if !regular::is_there(&path) {
            reading.absent(Collection::Audit, &path, "the file is gone");
            return Ok(());
        }
        let outcome = with_file(&path, |file| {
            self.look(file, &KNOWN.events, Columns::Travel, reading)?;
            events::export_audit(file, reading)
        });
        reading.survive(Collection::Audit.name(), &path, outcome)
    }

    /// Hands over the series. A name may have been borne by several users: of what is kept under it, the event tells whose it is,
    /// and `owner` whose the event is.
    pub(super) fn export_series(
        &self,
        owners: &UsernameOwners,
        owner: Owner<'_>,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        let user = reading.user;
        let namespaces: Vec<String> = user.namespaces().collect();
        let file = |namespace: &String| {
            folder(&self.users_dir, namespace).map(|f| f.join("series-1.0.0.sqlite"))
        };
        let borne = |namespace: &str| {
            let name = namespace.strip_prefix("user.")?;
            owners.get(name)
        };
        let files: Vec<PathBuf> = namespaces.iter().filter_map(file).collect();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let files: Vec<&Path> = files
            .into_iter()
            .filter(|path| regular::is_there(path))
            .collect();
        // Otherwise the owner of a series may change.
        let alone = !namespaces.iter().any(|name| borne(name).is_some());
        if alone && !files.is_empty() && reading.as_it_was(&files, &[Collection::Series]) {
            return Ok(());
        }
        if files.is_empty() {
            reading.absent(
                Collection::Series,
                &self.users_dir,
                "no file of series is left",
            );
        }
        for namespace in namespaces {
            let Some(path) = file(&namespace) else {
                continue;
            };
            let of_several = borne(&namespace);
            let whose = |measurement: &str| {
                let Some(UsersOfName { ids, now }) = of_several else {
                    return Ok(Whose::Mine);
                };
                let event = measurement.strip_prefix("event.");
                let found = event.map_or(Ok(None), |event| owner(ids, event))?;
                let current = namespace.strip_prefix("user.") == Some(&user.username);
                Ok(match found {
                    Some(id) if id == user.user_id => Whose::Mine,
                    Some(_) => Whose::Others,
                    None if current => Whose::Mine,
                    // Told once.
                    None if !now && ids.first() == Some(&user.user_id) => Whose::Nobody,
                    None => Whose::Others,
                })
            };
            let outcome = if_there(&path, |file| {
                self.look(file, &KNOWN.series, Columns::Fixed, reading)?;
                series::export(file, &namespace, &whose, &self.seen, reading)
            });
            reading.survive(Collection::Series.name(), &path, outcome)?;
        }
        Ok(())
    }

    /// Looks for what a file of a user holds besides the known. Where there is anything, the next run is to look again.
    fn look(
        &self,
        file: &SqliteFile,
        known: &SchemaTables,
        columns: Columns,
        reading: &mut Reading<'_>,
    ) -> Result<(), PlatformError> {
        if unknown::look(file, known, columns, &self.seen.counted)? {
            reading.sink.look_again();
        }
        Ok(())
    }

    fn export_user(&self, user: &User, sink: &mut dyn UserSink) -> Result<(), ExportError> {
        let folder =
            folder(&self.users_dir, &user.user_id).ok_or_else(|| PlatformError::Record {
                path: self.users_dir.join("user-index.db"),
                what: format!(
                    "user {:?} has the id {:?}, which names no folder",
                    user.username, user.user_id
                ),
            })?;
        let reading = &mut Reading { user, sink };

        let path = folder.join("baseStorage-1.0.0.sqlite");
        let collections = [
            Collection::Streams,
            Collection::Accesses,
            Collection::Profile,
            Collection::Webhooks,
        ];
        let mut without = Vec::new();
        if !reading.as_it_was(&[&path], &collections) {
            let outcome = with_file(&path, |file| {
                self.look(file, &KNOWN.base, Columns::Travel, reading)?;
                without = base::export(file, reading)?;
                Ok(())
            });
            reading.survive("streams, accesses, profile, webhooks", &path, outcome)?;
        }

        let base = path;
        let path = folder.join("local-1.0.0.sqlite");
        if !reading.as_it_was(&[&path], &[Collection::Events]) {
            let outcome = with_file(&path, |file| {
                self.look(file, &KNOWN.events, Columns::Travel, reading)?;
                // Every event is in a stream, and was made with an access.
                let needed = [Collection::Streams, Collection::Accesses];
                let needed = without.iter().filter(|of| needed.contains(of));
                for collection in needed.filter(|_| file.has_rows("events")) {
                    let name = collection.name();
                    let what = format!("there is no table {name}, although the user has events");
                    reading.lose(name, &base, what);
                }
                let outcome = events::export(file, reading);
                reading.survive(Collection::Events.name(), &path, outcome)?;
                attachments::export(file, &self.users_dir, reading)
            });
            reading.survive("events, attachments", &path, outcome)?;
        }

        let path = folder.join(ACCOUNT);
        let outcome = with_file(&path, |file| {
            self.look(file, &KNOWN.account, Columns::Travel, reading)?;
            account::export(file, reading)
        });
        reading.survive(Collection::Account.name(), &path, outcome)?;

        self.export_audit(reading)?;
        let owner = |ids: &[String], event: &str| {
            for id in ids {
                let local =
                    user_folder::folder(&self.users_dir, id).map(|f| f.join("local-1.0.0.sqlite"));
                // A user without events has none of this name either.
                let Some(file) = local.and_then(|path| SqliteFile::open(&path).ok()) else {
                    continue;
                };
                let sql = "SELECT count(*) FROM events WHERE eventid = ?";
                let found = file
                    .connection
                    .query_row(sql, [event], |row| row.get::<_, i64>(0));
                if found.map_err(|e| file.error(e))? > 0 {
                    return Ok(Some(id.clone()));
                }
            }
            Ok(None)
        };
        self.export_series(&self.beginning()?.owners, &owner, reading)
    }

    /// Rows of the events and of the audit trail, roughly.
    fn count(&self, users: &[User]) -> Option<u64> {
        let mut total = 0;
        for user in users {
            let folder = folder(&self.users_dir, &user.user_id)?;
            for name in ["local-1.0.0.sqlite", "audit-1.0.0.sqlite"] {
                if let Ok(file) = SqliteFile::open(&folder.join(name)) {
                    let last = "SELECT coalesce(max(rowid), 0) FROM events";
                    let last = file.connection.query_row(last, [], |row| row.get(0));
                    total += last.map_or(0, |last: i64| last.unsigned_abs());
                }
            }
        }
        Some(total)
    }
}

/// Opening more files for an estimate is not worth it.
const FEW: usize = 50;
/// Passwords, key-values and account fields.
const ACCOUNT: &str = "account-1.0.0.sqlite";

impl Platform for SqlitePlatform {
    fn users(&self) -> Result<Vec<User>, PlatformError> {
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
        let mut found = self.beside(held, users, &|| self.index())?;
        if let Some(index) = &self.index {
            found.extend(index.unknown()?);
        }
        Ok(found)
    }

    fn migration(&self) -> Option<u32> {
        let keys = ["migrations/version".to_owned()];
        let stored = self.index.as_ref()?.values(&keys).ok()?.pop()??;
        let stored: serde_json::Value = serde_json::from_str(&stored).ok()?;
        stored["version"].as_u64()?.try_into().ok()
    }

    fn notes(&self) -> Vec<String> {
        self.seen.notes()
    }

    fn export_platform(
        &self,
        scope: &Scope<'_>,
        sink: &mut dyn IndexSink,
    ) -> Result<(), ExportError> {
        if let Some(index) = &self.index {
            index.export(scope, sink)?;
        }
        if scope.only.is_none() {
            let users = &self.beginning()?.users;
            self.kept_audit(users, &|| self.index(), sink)?;
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
