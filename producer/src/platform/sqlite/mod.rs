//! The SQLite engine: one folder per user, one file per kind of record.

mod account;
mod base;
mod events;
pub(super) mod file;
pub(super) mod reading;
mod schema;
mod series;
mod shared;
pub(super) mod write;

use super::attachments::folder;
use super::{
    Collection, ExportError, IndexSink, Platform, PlatformError, Scope, Target, User, UserSink,
    attachments, each_user, index, rqlite,
};
use file::SqliteFile;
use reading::Reading;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A platform whose base engine is SQLite.
pub struct SqlitePlatform {
    users_dir: PathBuf,
    index: Option<rqlite::Rqlite>,
}

impl SqlitePlatform {
    /// A platform in `users_dir`; `index` is left out of the backup when `None`.
    pub(super) fn new(users_dir: PathBuf, index: Option<rqlite::Rqlite>) -> Self {
        Self { users_dir, index }
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
        if !path.exists() {
            return Ok(());
        }
        let outcome = with_file(&path, |file| events::export_audit(file, reading));
        reading.survive(Collection::Audit.name(), &path, outcome)
    }

    /// Hands over the series; `owners` are the ids of all users by name.
    pub(super) fn export_series(
        &self,
        former: Vec<String>,
        owners: &HashMap<&str, &str>,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        for namespace in namespaces(reading.user, former, owners) {
            let Some(folder) = folder(&self.users_dir, &namespace) else {
                continue;
            };
            let path = folder.join("series-1.0.0.sqlite");
            if path.exists() {
                let outcome = with_file(&path, |file| series::export(file, &namespace, reading));
                reading.survive(Collection::Series.name(), &path, outcome)?;
            }
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
        let outcome = with_file(&path, |file| base::export(file, reading));
        reading.survive("streams, accesses, profile, webhooks", &path, outcome)?;

        let path = folder.join("local-1.0.0.sqlite");
        let outcome = with_file(&path, |file| {
            let outcome = events::export(file, reading);
            reading.survive(Collection::Events.name(), &path, outcome)?;
            attachments::export(file, &folder, reading)
        });
        reading.survive("events, attachments", &path, outcome)?;

        let mut former = Vec::new();
        let path = folder.join("account-1.0.0.sqlite");
        let outcome = with_file(&path, |file| {
            former = account::usernames(file)?;
            account::export(file, reading)
        });
        reading.survive(Collection::Account.name(), &path, outcome)?;

        self.export_audit(reading)?;
        let index = self.index()?;
        let owners = index.iter().map(|(n, id)| (n.as_str(), id.as_str()));
        self.export_series(former, &owners.collect(), reading)
    }
}

/// The namespaces in which series of the user may be: those of the names it has or had, and its id.
fn namespaces(user: &User, former: Vec<String>, owners: &HashMap<&str, &str>) -> Vec<String> {
    let mut names = vec![user.username.clone()];
    // A name given up may have become another user's, and its series with it.
    names.extend(former.into_iter().filter(|name| {
        owners
            .get(name.as_str())
            .is_none_or(|id| *id == user.user_id)
    }));
    let mut namespaces: Vec<String> = Vec::new();
    for namespace in names
        .iter()
        .map(|name| format!("user.{name}"))
        .chain([user.user_id.clone()])
    {
        if !namespaces.contains(&namespace) {
            namespaces.push(namespace);
        }
    }
    namespaces
}

impl Platform for SqlitePlatform {
    fn users(&self) -> Result<Vec<User>, PlatformError> {
        let mut users: Vec<User> = Vec::new();
        for (username, user_id) in self.index()? {
            let user = User { user_id, username };
            // The index does not keep an id from having two names; the later one is the current one.
            match users.iter_mut().find(|known| known.user_id == user.user_id) {
                Some(known) => *known = user,
                None => users.push(user),
            }
        }
        Ok(users)
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
        if scope.ephemeral && path.exists() {
            with_file(&path, |file| shared::ephemeral(file, scope, sink))?;
        }
        Ok(())
    }
}

fn with_file(
    path: &Path,
    read: impl FnOnce(&SqliteFile) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let file = SqliteFile::open(path)?;
    read(&file)?;
    Ok(file.unchanged()?)
}
