//! The users of all cores, as short digests of their ids and names: of many users no more is held than that.

use std::collections::{BTreeMap, BTreeSet};

use decryptor_wasm::UserEntry;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{archive::read::Archive, pii::Pii};

/// More users than this are counted, not named.
pub const LISTED: usize = 100;

/// What stands for an id or a name.
pub type Digest = [u8; 16];

/// A bit of the first byte: whether it is of a name.
const NAME: u8 = 1;

/// A user who is in the backups of several cores.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserOnCores {
    /// The name.
    pub username: String,
    /// The ids: several, where different users have one name.
    pub user_ids: Vec<String>,
    /// The prefixes.
    pub cores: Vec<String>,
}

/// Ids and names that are on several cores.
#[derive(Default)]
pub struct Twice {
    /// Some of them, which are to be named.
    pub digests: BTreeSet<Digest>,
    /// The prefixes where these are.
    pub cores: BTreeSet<u32>,
    /// How many users there are at least, with those.
    pub users: usize,
}

/// One of the places where such a user is.
pub struct Occurrence {
    user_id: String,
    username: String,
    core: String,
}

/// The users of the newest good runs.
pub struct UserTable {
    pii: Option<Pii>,
    /// Ids and names, with the number of the prefix.
    seen: Vec<(Digest, u32)>,
    /// Every name of each user of the runs that are new enough, and what stands for it in the platform's own database.
    names: Vec<Digest>,
}

impl UserTable {
    /// Without users. `pii`: how the platform's own database names users, where that is known.
    pub fn new(pii: Option<Pii>) -> Self {
        UserTable {
            pii,
            seen: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Adds the users of an archive; `recent`: it is new enough.
    pub fn add(&mut self, core: u32, recent: bool, archive: &Archive) {
        for user in archive.plan.users.iter() {
            self.seen
                .extend(digests(&user).map(|digest| (digest, core)));
            if !recent {
                continue;
            }
            for name in std::iter::once(&user.username).chain(&user.other_names) {
                self.names.push(of_name(name));
                if let Some(Pii::Hashed(Some(key))) = &self.pii {
                    self.names.push(of_name(&key.username(name)));
                }
            }
        }
    }

    /// All users are there.
    pub fn sort(&mut self) {
        self.seen.sort_unstable();
        self.names.sort_unstable();
    }

    /// Whether a name, or what stands for one, is of a user of a run that is new enough.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.binary_search(&of_name(name)).is_ok()
    }

    /// Whether the tokens of names are known.
    pub fn knows_tokens(&self) -> bool {
        matches!(self.pii, Some(Pii::Hashed(Some(_))))
    }

    /// The ids and names that are on several cores. `core` tells of a prefix the first one that holds the same.
    pub fn twice(&self, core: impl Fn(u32) -> u32) -> Twice {
        let mut twice = Twice::default();
        let mut counts = [0; 2];
        for same in self.seen.chunk_by(|one, other| one.0 == other.0) {
            let on: BTreeSet<u32> = same.iter().map(|(_, prefix)| core(*prefix)).collect();
            let Some((digest, _)) = same.first().filter(|_| on.len() > 1) else {
                continue;
            };
            counts[usize::from(digest[0] & NAME)] += 1;
            if twice.digests.len() < 2 * LISTED {
                twice.digests.insert(*digest);
                twice.cores.extend(on);
            }
        }
        twice.users = counts[0].max(counts[1]);
        twice
    }
}

/// The users of an archive with one of these ids or names.
pub fn occurrences(
    archive: &Archive,
    of: &BTreeSet<Digest>,
    core: &str,
    found: &mut Vec<Occurrence>,
) {
    let users = archive.plan.users.iter();
    let asked = users.filter(|user| digests(user).any(|digest| of.contains(&digest)));
    found.extend(asked.map(|user| Occurrence {
        user_id: user.user_id.clone(),
        username: user.username.clone(),
        core: core.to_owned(),
    }));
}

/// The users who are there several times, by their names; those who have another name on another core, by their ids.
pub fn on_several_cores(found: &[Occurrence]) -> Vec<UserOnCores> {
    let mut by_name: BTreeMap<&str, Vec<&Occurrence>> = BTreeMap::new();
    let mut by_id: BTreeMap<&str, Vec<&Occurrence>> = BTreeMap::new();
    for one in found {
        by_name.entry(&one.username).or_default().push(one);
        by_id.entry(&one.user_id).or_default().push(one);
    }
    let renamed = by_id.into_values().filter(|all| {
        let names: BTreeSet<&str> = all.iter().map(|one| one.username.as_str()).collect();
        names.len() > 1
    });
    let several = by_name.into_values().chain(renamed).filter_map(|all| {
        let cores: BTreeSet<&String> = all.iter().map(|one| &one.core).collect();
        let ids: BTreeSet<&String> = all.iter().map(|one| &one.user_id).collect();
        (cores.len() > 1).then(|| UserOnCores {
            username: all[0].username.clone(),
            user_ids: ids.into_iter().cloned().collect(),
            cores: cores.into_iter().cloned().collect(),
        })
    });
    several.collect()
}

fn digests(user: &UserEntry) -> impl Iterator<Item = Digest> {
    [of(0, &user.user_id), of_name(&user.username)].into_iter()
}

fn of_name(name: &str) -> Digest {
    of(NAME, name)
}

fn of(kind: u8, text: &str) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(&Sha256::digest(text)[..16]);
    digest[0] = digest[0] & !NAME | kind;
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_once_by_name_or_by_id() {
        let of = |user_id: &str, username: &str, core: &str| Occurrence {
            user_id: user_id.to_owned(),
            username: username.to_owned(),
            core: core.to_owned(),
        };
        let found = [
            of("1", "alice", "a"),
            of("1", "alice", "b"),
            of("2", "bob", "a"),
            of("3", "bob", "b"),
            of("4", "carol", "a"),
            of("4", "caroline", "b"),
        ];
        let several = on_several_cores(&found);
        let names: Vec<&str> = several.iter().map(|one| one.username.as_str()).collect();
        assert_eq!(names, ["alice", "bob", "carol"]);
        let ids: Vec<usize> = several.iter().map(|one| one.user_ids.len()).collect();
        assert_eq!(ids, [1, 2, 1]);
        assert!(several.iter().all(|one| one.cores == ["a", "b"]));
    }
}
