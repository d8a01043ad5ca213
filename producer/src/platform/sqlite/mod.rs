//! The SQLite engine: one folder per user, one file per kind of record.

mod account;
mod aside;
mod base;
mod events;
pub(super) mod file;
mod looks;
pub(super) mod reading;
mod schema;
pub(super) mod series;
mod shared;
pub(super) mod write;

use super::attachments::folder;
use super::{
    Collection, ExportError, IndexSink, Platform, PlatformError, Scope, Target, User, UserSink,
    attachments, each_user, index, lock, regular, rqlite,
};
use file::SqliteFile;
use reading::{Reading, if_there, with_file};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// A platform whose base engine is SQLite.
pub struct SqlitePlatform {
    users_dir: PathBuf,
    index: Option<rqlite::Rqlite>,
    /// The users at the beginning, and when that was: who comes later is of the next backup.
    beginning: Mutex<Option<Arc<Beginning>>>,
}

/// See [`SqlitePlatform::beginning`].
struct Beginning {
    /// Seconds since 1970.
    instant: f64,
    /// Usernames with their user ids, in the order of the index.
    names: Vec<(String, String)>,
    /// See [`SqlitePlatform::bearers`].
    bearers: Mutex<Option<Arc<Bearers>>>,
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
        let names = read?;
        Ok(beginning
            .insert(Arc::new(Beginning {
                instant,
                names,
                bearers: Mutex::default(),
            }))
            .clone())
    }

    /// Usernames with their user ids, in the order of the index.
    fn index(&self) -> Result<Vec<(String, String)>, PlatformError> {
        let file = SqliteFile::open(&self.users_dir.join("user-index.db"))?;
        let failed = |e| file.error(e);
        let mut statement = file
            .connection
            .prepare("SELECT username, userId FROM id4name ORDER BY rowid")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(failed)?;
        let index = rows.collect::<Result<_, _>>().map_err(failed)?;
        file.unchanged()?;
        Ok(index)
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
        let outcome = with_file(&path, |file| events::export_audit(file, reading));
        reading.survive(Collection::Audit.name(), &path, outcome)
    }

    /// Hands over the series. A name may have been borne by several users: of what is kept under it, the event tells whose it is,
    /// and `owner` whose the event is.
    pub(super) fn export_series(
        &self,
        former: Vec<String>,
        bearers: &Bearers,
        owner: Owner<'_>,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        let user = reading.user;
        let namespaces = namespaces(user, former);
        let file = |namespace: &Namespace| {
            folder(&self.users_dir, &namespace.name).map(|f| f.join("series-1.0.0.sqlite"))
        };
        let files: Vec<PathBuf> = namespaces.iter().filter_map(file).collect();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let files: Vec<&Path> = files
            .into_iter()
            .filter(|path| regular::is_there(path))
            .collect();
        let several = |namespace: &Namespace| {
            let name = namespace.borne.as_ref();
            name.is_some_and(|name| bearers.contains_key(name))
        };
        // Whose a series is may change otherwise.
        let alone = !namespaces.iter().any(several);
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
            let Some(folder) = folder(&self.users_dir, &namespace.name) else {
                continue;
            };
            let of_several = namespace.borne.as_ref().and_then(|name| bearers.get(name));
            let whose = |measurement: &str| {
                let Some(BorneBy { ids, now }) = of_several else {
                    return Ok(Whose::Mine);
                };
                let event = measurement.strip_prefix("event.");
                let found = event.map_or(Ok(None), |event| owner(ids, event))?;
                let current = namespace.borne.as_ref() == Some(&user.username);
                Ok(match found {
                    Some(id) if id == user.user_id => Whose::Mine,
                    Some(_) => Whose::Others,
                    None if current => Whose::Mine,
                    // Told once.
                    None if !now && ids.first() == Some(&user.user_id) => Whose::Nobodys,
                    None => Whose::Others,
                })
            };
            let path = folder.join("series-1.0.0.sqlite");
            let outcome = if_there(&path, |file| {
                series::export(file, &namespace.name, &whose, reading)
            });
            reading.survive(Collection::Series.name(), &path, outcome)?;
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
        if !reading.as_it_was(&[&path], &collections) {
            let outcome = with_file(&path, |file| base::export(file, reading));
            reading.survive("streams, accesses, profile, webhooks", &path, outcome)?;
        }

        let path = folder.join("local-1.0.0.sqlite");
        if !reading.as_it_was(&[&path], &[Collection::Events]) {
            let outcome = with_file(&path, |file| {
                let outcome = events::export(file, reading);
                reading.survive(Collection::Events.name(), &path, outcome)?;
                attachments::export(file, &self.users_dir, reading)
            });
            reading.survive("events, attachments", &path, outcome)?;
        }

        let mut former = Vec::new();
        let path = folder.join("account-1.0.0.sqlite");
        let outcome = with_file(&path, |file| {
            former = account::usernames(file)?;
            account::export(file, reading)
        });
        reading.survive(Collection::Account.name(), &path, outcome)?;

        self.export_audit(reading)?;
        let owner = |ids: &[String], event: &str| {
            for id in ids {
                let local =
                    attachments::folder(&self.users_dir, id).map(|f| f.join("local-1.0.0.sqlite"));
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
        let bearers = self.bearers()?;
        self.export_series(former, &bearers, &owner, reading)
    }

    /// The names that several users bore. An account that cannot be read is told of when its user is read.
    fn bearers(&self) -> Result<Arc<Bearers>, PlatformError> {
        let beginning = self.beginning()?;
        let mut known = lock(&beginning.bearers);
        if let Some(bearers) = &*known {
            return Ok(bearers.clone());
        }
        let mut bearers = Bearers::new();
        for (name, id) in &beginning.names {
            let account = folder(&self.users_dir, id).map(|f| f.join("account-1.0.0.sqlite"));
            let file = account.and_then(|path| SqliteFile::open(&path).ok());
            let former = file.and_then(|file| account::usernames(&file).ok());
            for borne in former.into_iter().flatten().chain([name.clone()]) {
                let now = borne == *name;
                let by = bearers.entry(borne).or_default();
                by.now |= now;
                if !by.ids.contains(id) {
                    by.ids.push(id.clone());
                }
            }
        }
        bearers.retain(|_, by| by.ids.len() > 1);
        Ok(known.insert(Arc::new(bearers)).clone())
    }

    /// Rows of the events and of the audit trail, roughly.
    fn count(&self, names: &[(String, String)]) -> Option<u64> {
        let mut total = 0;
        for (_, id) in names {
            let folder = folder(&self.users_dir, id)?;
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

/// Names that several users bear or bore.
pub(super) type Bearers = HashMap<String, BorneBy>;

/// Who bears or bore a name.
#[derive(Default)]
pub(super) struct BorneBy {
    /// All their ids.
    pub ids: Vec<String>,
    /// Somebody bears it now.
    pub now: bool,
}

/// Which of these users has an event.
pub(super) type Owner<'a> = &'a dyn Fn(&[String], &str) -> Result<Option<String>, PlatformError>;

/// Whose a series is.
pub(super) enum Whose {
    /// The user's.
    Mine,
    /// Another user's, with whom it is exported.
    Others,
    /// Nobody's, which is a loss.
    Nobodys,
}

/// The sentence for a series that is nobody's.
pub(super) fn nobodys(measurement: &str) -> String {
    format!(
        "{measurement:?} is kept under a name that several users bore, and is of no event of theirs; it was left out"
    )
}

/// Where series of a user may be.
struct Namespace {
    name: String,
    /// The username in it.
    borne: Option<String>,
}

/// Opening more files for an estimate is not worth it.
const FEW: usize = 50;

/// The namespaces in which series of the user may be: those of the names it has or had, and its id.
fn namespaces(user: &User, former: Vec<String>) -> Vec<Namespace> {
    let mut namespaces: Vec<Namespace> = Vec::new();
    for name in [user.username.clone()].into_iter().chain(former) {
        if !namespaces.iter().any(|n| n.borne.as_ref() == Some(&name)) {
            namespaces.push(Namespace {
                name: format!("user.{name}"),
                borne: Some(name),
            });
        }
    }
    namespaces.push(Namespace {
        name: user.user_id.clone(),
        borne: None,
    });
    namespaces
}

impl Platform for SqlitePlatform {
    fn users(&self) -> Result<Vec<User>, PlatformError> {
        let mut users: Vec<User> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (username, user_id) in &self.beginning()?.names {
            let user = User {
                user_id: user_id.clone(),
                username: username.clone(),
            };
            // The index does not keep an id from having two names; the later one is the current one.
            let place = *places.entry(user_id.clone()).or_insert(users.len());
            match users.get_mut(place) {
                Some(known) => *known = user,
                None => users.push(user),
            }
        }
        Ok(users)
    }

    fn other_names(&self, user: &User) -> Result<Vec<String>, PlatformError> {
        shared::names_of(&self.users_dir, &user.user_id)
    }

    fn instant(&self) -> Result<f64, PlatformError> {
        Ok(self.beginning()?.instant)
    }

    fn records(&self) -> Option<u64> {
        let beginning = self.beginning().ok()?;
        (beginning.names.len() <= FEW).then(|| self.count(&beginning.names))?
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

    fn export_platform(
        &self,
        scope: &Scope<'_>,
        sink: &mut dyn IndexSink,
    ) -> Result<(), ExportError> {
        if let Some(index) = &self.index {
            index.export(scope, sink)?;
        }
        if index::with_aliases(scope) {
            with_file(&self.users_dir.join("user-index.db"), |file| {
                shared::aliases(file, scope, sink)
            })?;
        }
        // A platform on which nobody ever logged in has no such file.
        let path = self.users_dir.join("_shared/baseStorage.sqlite");
        if scope.ephemeral {
            if_there(&path, |file| shared::ephemeral(file, scope, sink))?;
        }
        Ok(())
    }
}
