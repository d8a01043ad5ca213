//! Other names that lead to users.

use serde::Deserialize;

use super::Work;
use crate::platform::{Shared, write::RestoreError};

impl Work<'_> {
    /// Aliases: as the archive lists them, and as the accesses of the users name them.
    pub(super) fn aliases(&mut self) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Alias {
            alias: String,
            user_id: String,
        }
        self.each(Shared::Aliases.stem(), &mut |work, line| {
            match serde_json::from_slice::<Alias>(line) {
                Ok(alias) if work.ids.contains(alias.user_id.as_str()) => {
                    work.aliases.insert((alias.alias, alias.user_id));
                }
                Ok(_) => work.leave_out("of users that were not restored"),
                Err(_) => work.leave_out("not an alias"),
            }
            Ok(())
        })?;
        let of_accesses = self.standing.values().flat_map(|one| {
            let id = &one.done.report.user_id;
            one.done
                .aliases
                .iter()
                .map(|alias| (alias.clone(), id.clone()))
        });
        self.aliases.extend(of_accesses);
        let aliases = std::mem::take(&mut self.aliases);
        let Some(there) = self.shared.aliases()? else {
            for (alias, user_id) in aliases {
                self.lose(
                    &user_id,
                    format!("the alias {alias:?}: this database has no place for it before Pryv's migrations"),
                );
            }
            return Ok(());
        };
        let mut lines = String::new();
        for (alias, user_id) in &aliases {
            match there.get(alias) {
                Some(owner) if owner == user_id => {}
                Some(_) => self.lose(
                    user_id,
                    format!("the alias {alias:?} leads to another user of the platform"),
                ),
                None => {
                    self.written += 1;
                    let line = serde_json::json!({"alias": alias, "userId": user_id});
                    lines.push_str(&format!("{line}\n"));
                }
            }
        }
        // Those that a replaced user has no longer, where the archive lists the aliases.
        if self.how.overwrite && self.has(Shared::Aliases.stem()) {
            let former = there
                .into_iter()
                .filter(|(_, owner)| self.ids.contains(owner.as_str()));
            let former: Vec<String> = former
                .filter(|one| !aliases.contains(one))
                .map(|(alias, _)| alias)
                .collect();
            self.shared.remove_aliases(&former)?;
        }
        self.aliases = aliases;
        if lines.is_empty() {
            return Ok(());
        }
        self.shared.short_lived(Shared::Aliases, lines.as_bytes())
    }
}
