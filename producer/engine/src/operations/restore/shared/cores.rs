//! On which core of the platform each user is.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::SharedRestore;
use crate::platform::write::RestoreError;

const INFO: &str = "core-info/";

impl SharedRestore<'_> {
    /// The users are on the core that is restored into: where the platform does not know it, on the only one that is available.
    /// Archives of version 1 of Pryv.io say on which server each was; what counts is where it is now.
    pub(super) fn cores(&mut self) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        struct Mapping {
            username: String,
        }
        self.each("register/servers", &mut |work, line| {
            match serde_json::from_slice::<Mapping>(line) {
                Ok(mapping) if work.restored.contains_key(&mapping.username) => {}
                Ok(_) => work.leave_out("of users that were not restored"),
                Err(_) => work.leave_out("not the server of a user"),
            }
            Ok(())
        })?;
        let cores = self.shared.beginning(INFO)?;
        self.cores = cores.len();
        let Some(core) = self.core(&cores) else {
            if !cores.is_empty() {
                self.leave_out(
                    "on which core users are: core.id is none of the platform's cores, and not exactly one of them is available",
                );
            }
            return Ok(());
        };
        let mut names: BTreeSet<String> = self
            .restored
            .values()
            .map(|one| one.token.clone())
            .collect();
        // Where there is one core only, nobody has to be sent to it.
        if cores.len() > 1 {
            let aliases = self.aliases.iter();
            names.extend(aliases.filter_map(|(alias, _)| self.config.pii.username(alias)));
        }
        names
            .into_iter()
            .try_for_each(|name| self.put(format!("user-core/{name}"), core.clone()))
    }

    fn core(&self, cores: &[(String, String)]) -> Option<String> {
        #[derive(Deserialize)]
        struct Info {
            available: Option<bool>,
        }
        let own = &self.config.core_id;
        let id = |key: &str| key.strip_prefix(INFO).map(str::to_owned);
        if cores.iter().any(|(key, _)| id(key).as_ref() == Some(own)) {
            return Some(own.clone());
        }
        let available = |value: &str| {
            serde_json::from_str::<Info>(value).is_ok_and(|info| info.available != Some(false))
        };
        let mut available = cores.iter().filter(|(_, value)| available(value));
        match (available.next(), available.next()) {
            (Some((key, _)), None) => id(key),
            _ => None,
        }
    }
}
