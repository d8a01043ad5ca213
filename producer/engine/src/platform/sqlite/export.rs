//! The export of a user, and an estimate of how many records there are.

use super::file::SqliteFile;
use super::reading::{Reading, if_there, with_file};
use super::schema::{KNOWN, SchemaTables};
use super::unknown::Columns;
use super::{
    ACCOUNT, SqlitePlatform, account, attachments as listed, base, events, series, unknown,
};
use crate::platform::attachments::AttachmentSource;
use crate::platform::user_folder::{self, folder};
use crate::platform::username_owners::{Owner, UsernameOwners, of_namespace, whose};
use crate::platform::{Collection, ExportError, PlatformError, User, UserSink};
use crate::regular;
use std::path::{Path, PathBuf};

impl SqlitePlatform {
    /// Hands over the audit trail, which begins with the first audited call: a user may have none.
    pub(in crate::platform) fn export_audit(
        &self,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        let Some(folder) = folder(&self.users_dir, &reading.user.user_id) else {
            return Ok(());
        };
        let path = folder.join("audit-1.0.0.sqlite");
        if reading.as_it_was(&[&path], &[Collection::Audit]) {
            return Ok(());
        }
        if !regular::is_there(&path) {
            reading.absent(Collection::Audit, &path, "the file is gone")?;
            return Ok(());
        }
        let outcome = with_file(&path, |file| {
            self.look(file, &KNOWN.events, Columns::Travel, reading)?;
            events::export_audit(file, reading)
        });
        reading.survive(Collection::Audit.name(), &path, outcome)
    }

    /// Hands over the series: from the server that keeps them, or from files. `owner` tells whose an event is.
    pub(in crate::platform) fn export_series(
        &self,
        owners: &UsernameOwners,
        owner: Owner<'_>,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        let user = reading.user;
        if let Some(server) = &self.series {
            let whose = |namespace: &str, measurement: &str| {
                whose(owners, owner, user, namespace, measurement)
            };
            return server.export(&whose, &self.seen, reading);
        }
        let namespaces: Vec<String> = user.namespaces().collect();
        let file = |namespace: &String| {
            folder(&self.users_dir, namespace).map(|f| f.join("series-1.0.0.sqlite"))
        };
        let files: Vec<PathBuf> = namespaces.iter().filter_map(file).collect();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let files: Vec<&Path> = files
            .into_iter()
            .filter(|path| regular::is_there(path))
            .collect();
        // Otherwise the owner of a series may change.
        let alone = !namespaces
            .iter()
            .any(|name| of_namespace(owners, name).is_some());
        if alone && !files.is_empty() && reading.as_it_was(&files, &[Collection::Series]) {
            return Ok(());
        }
        if files.is_empty() {
            reading.absent(
                Collection::Series,
                &self.users_dir,
                "no file of series is left",
            )?;
        }
        for namespace in namespaces {
            let Some(path) = file(&namespace) else {
                continue;
            };
            let whose = |measurement: &str| whose(owners, owner, user, &namespace, measurement);
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

    pub(super) fn export_user(
        &self,
        user: &User,
        sink: &mut dyn UserSink,
    ) -> Result<(), ExportError> {
        let reading = &mut Reading { user, sink };
        self.export_base(&self.attachments, reading)?;
        self.export_audit(reading)?;
        self.export_own_series(reading)
    }

    /// Hands over the base, with the attachments that its events list and `attachments` gives.
    pub(in crate::platform) fn export_base(
        &self,
        attachments: &dyn AttachmentSource,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        let user = reading.user;
        let folder =
            folder(&self.users_dir, &user.user_id).ok_or_else(|| PlatformError::Record {
                path: self.users_dir.join("user-index.db"),
                what: format!(
                    "user {:?} has the id {:?}, which names no folder",
                    user.username, user.user_id
                ),
            })?;

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
                    reading.lose(name, &base, what)?;
                }
                let outcome = events::export(file, reading);
                reading.survive(Collection::Events.name(), &path, outcome)?;
                listed::export(file, attachments, reading)
            });
            reading.survive("events, attachments", &path, outcome)?;
        }

        let path = folder.join(ACCOUNT);
        let outcome = with_file(&path, |file| {
            self.look(file, &KNOWN.account, Columns::Travel, reading)?;
            account::export(file, reading)
        });
        reading.survive(Collection::Account.name(), &path, outcome)
    }

    /// Hands over the series, where the events in files tell whose they are.
    pub(in crate::platform) fn export_own_series(
        &self,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
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
    pub(super) fn count(&self, users: &[User]) -> Option<u64> {
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
