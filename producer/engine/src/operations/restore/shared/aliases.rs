//! Other names that lead to users.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::SharedRestore;
use crate::platform::{Shared, write::RestoreError};

/// The field of the unique values that aliases are.
const FIELD: &str = "alias";

impl SharedRestore<'_> {
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
        let of_accesses = self.restored.values().flat_map(|one| {
            let id = &one.done.report.user_id;
            one.done
                .aliases
                .iter()
                .map(|alias| (alias.clone(), id.clone()))
        });
        self.aliases.extend(of_accesses);
        // Without an alias no series that is kept under an earlier name would be found again.
        if !self.has(Shared::Aliases.stem()) {
            let earlier = self.restored.values().flat_map(|one| {
                let names = one.done.other_names.iter().cloned();
                names.map(|name| (name, one.done.report.user_id.clone()))
            });
            self.aliases.extend(earlier);
        }
        let aliases = std::mem::take(&mut self.aliases);
        self.name_after(&aliases);
        let Some(there) = self.shared.aliases()? else {
            for (alias, user_id) in aliases {
                self.lose(
                    &user_id,
                    format!("the alias {alias:?}: this database has no place for it before Pryv's migrations"),
                );
            }
            return Ok(());
        };
        let (mut lines, mut led, mut new) = (String::new(), Vec::new(), Vec::new());
        for (alias, user_id) in &aliases {
            match there.get(alias) {
                Some(owner) if owner == user_id => led.push(alias),
                Some(_) => self.lose(
                    user_id,
                    format!("the alias {alias:?} leads to another user of the platform"),
                ),
                None => {
                    new.push((alias, user_id));
                    let line = serde_json::json!({"alias": alias, "userId": user_id});
                    lines.push_str(&format!("{line}\n"));
                }
            }
        }
        if !new.is_empty() {
            led.extend(self.add_aliases(&new, &lines)?);
        }
        // Those that a replaced user has no longer, where the archive lists the aliases.
        if self.how.overwrite && self.has(Shared::Aliases.stem()) {
            let previous_keys = there
                .into_iter()
                .filter(|(_, owner)| self.ids.contains(owner.as_str()));
            let previous_keys: Vec<String> = previous_keys
                .filter(|one| !aliases.contains(one))
                .map(|(alias, _)| alias)
                .collect();
            self.shared.remove_aliases(&previous_keys)?;
        }
        if !self.how.skip_platform {
            self.claim(&aliases, &led)?;
        }
        self.aliases = aliases;
        Ok(())
    }

    /// Adds aliases, and reads them again: one that somebody has taken meanwhile stays theirs, and a trigger or a rule may keep any out.
    fn add_aliases<'n>(
        &mut self,
        new: &[(&'n String, &'n String)],
        lines: &str,
    ) -> Result<Vec<&'n String>, RestoreError> {
        self.shared.short_lived(Shared::Aliases, lines.as_bytes())?;
        let now = self.shared.aliases()?.unwrap_or_default();
        let mut led = Vec::with_capacity(new.len());
        for (alias, user_id) in new {
            match now.get(*alias) {
                Some(owner) if owner == *user_id => {
                    self.written += 1;
                    led.push(*alias);
                }
                Some(_) => self.lose(
                    user_id,
                    format!("the alias {alias:?} leads to another user of the platform"),
                ),
                None => self.lose(
                    user_id,
                    format!("the alias {alias:?}: the database did not keep it; a trigger or a rule of its table keeps it out: disable that, and restore again"),
                ),
            }
        }
        Ok(led)
    }

    /// Entries of the archive may call users by any name that they have or had.
    fn name_after(&mut self, aliases: &BTreeSet<(String, String)>) {
        let names: HashMap<&str, &str> = self
            .restored
            .values()
            .map(|one| {
                (
                    one.done.report.user_id.as_str(),
                    one.done.source_name.as_str(),
                )
            })
            .collect();
        for (alias, user_id) in aliases {
            let Some(now) = names.get(user_id.as_str()) else {
                continue;
            };
            let token = self.config.pii.username(alias);
            for name in [Some(alias.clone()), token].into_iter().flatten() {
                self.names.insert(name, (*now).to_owned());
            }
        }
    }

    /// That an alias is taken, and by whom, is an entry of the platform's own database; where those of the archive are hashed with another
    /// key, or it has none, the aliases tell.
    fn claim(
        &mut self,
        aliases: &BTreeSet<(String, String)>,
        led: &[&String],
    ) -> Result<(), RestoreError> {
        if self.has(Shared::Index.stem()) && !self.hashed.contains(FIELD) {
            return Ok(());
        }
        for (alias, _) in aliases.iter().filter(|(alias, _)| led.contains(&alias)) {
            let Some(owner) = self.names.get(alias).and_then(|now| self.restored.get(now)) else {
                continue;
            };
            let told = format!("{}/{FIELD}", owner.done.source_name);
            if self.indexed.contains(&told) {
                continue;
            }
            let (key, value) = self.entry(FIELD, true, alias, &owner.token);
            self.count_known(FIELD);
            self.put(key, value)?;
        }
        Ok(())
    }
}
