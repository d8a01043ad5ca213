//! The users' folders, beside the database: whether they are where the configuration says.

use super::{DatabaseEngines, PostgresPlatform, Snapshot};
use crate::platform::{
    Collection, ExportError, PlatformError, PlatformLoss, Target, User, user_folder,
};

impl PostgresPlatform {
    /// A wrong folder must not pass for one in which nobody has anything.
    pub(super) fn look_for_files(
        &self,
        snapshot: &Snapshot,
        target: &dyn Target,
    ) -> Result<(), ExportError> {
        let DatabaseEngines {
            audit,
            series,
            files,
            audited,
            base,
        } = self.engines;
        let series = series || !self.files.has_series_files();
        let attachments = self.files.attachments();
        attachments.check()?;
        let files = files || attachments.bucket().is_some();
        // A base in files was found there.
        if !base || (audit && series && files) {
            return Ok(());
        }
        let setting = "is storages.engines.sqlite.path right?";
        if let Err(e) = std::fs::read_dir(&self.users_dir) {
            return Err(ExportError::Platform(PlatformError::Record {
                path: self.users_dir.clone(),
                what: format!("the folder of the users' files cannot be read: {e}; {setting}"),
            }));
        }
        let lose = |collection: Collection, what: &str| {
            target.lose(PlatformLoss {
                user_id: None,
                collection: Some(collection.name().to_owned()),
                path: Some(self.users_dir.display().to_string()),
                what: format!("no user has a folder there, in which {what} should be; {setting}"),
            });
        };
        let has_folder = |user: &User| {
            user_folder::folder(&self.users_dir, &user.user_id).is_some_and(|path| path.exists())
        };
        if !audit && audited && !snapshot.users.iter().any(has_folder) {
            lose(Collection::Audit, "the audit trail");
        }
        let has_series = |user: &User| {
            let namespaces = [format!("user.{}", user.username), user.user_id.clone()];
            let mut folders = namespaces
                .iter()
                .filter_map(|n| user_folder::folder(&self.users_dir, n));
            folders.any(|folder| folder.exists())
        };
        if !series && !snapshot.users.iter().any(has_series) {
            let sql = "SELECT EXISTS (SELECT FROM events WHERE type LIKE 'series:%' AND deleted IS NULL)::text";
            let there = snapshot
                .connection
                .rows(sql)?
                .into_iter()
                .flatten()
                .flatten();
            if there.into_iter().any(|there| there == "true") {
                lose(Collection::Series, "the points of series");
            }
        }
        Ok(())
    }
}
