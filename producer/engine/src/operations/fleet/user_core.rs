//! What the platform's own database says of its cores, `user-core/NAME` and `core-info/CORE`, held against the backups.

use decryptor_wasm::{
    Error,
    jsonl::{Line, LineSplitter},
};
use serde::{Deserialize, Serialize};

use super::users::{LISTED, UserTable};
use crate::{archive::read::Archive, interrupt, pii::is_token};

/// The file of those entries, without its ending.
const KEYS: &str = "platform/keys.";

/// A user whom the platform sends to a core, and who is in no backup.
#[derive(Debug, Serialize)]
pub struct UserInNoBackup {
    /// The name; where the platform keeps none, what stands for it.
    pub name: String,
    /// The core.
    pub core: String,
}

/// What was found.
#[derive(Default)]
pub struct UserCores {
    /// How many names the platform sends to a core.
    pub names: u64,
    /// Names that are in no backup.
    pub missing: Vec<UserInNoBackup>,
    /// How many more.
    pub more: u64,
    /// How many names are tokens of a key that is not known.
    pub tokens: u64,
    /// The cores that the platform knows.
    pub cores: Vec<String>,
}

#[derive(Deserialize)]
struct StoredEntry<'l> {
    #[serde(borrow)]
    key: std::borrow::Cow<'l, str>,
    #[serde(borrow)]
    value: std::borrow::Cow<'l, str>,
}

/// Whether an archive holds the platform's own entries.
pub fn is_in(archive: &Archive) -> bool {
    let mut files = archive.files().iter();
    files.any(|file| file.path.starts_with(KEYS))
}

/// Reads the entries of an archive.
///
/// # Errors
/// When they cannot be read.
pub fn read(archive: &Archive, users: &UserTable) -> Result<UserCores, Error> {
    let mut found = UserCores::default();
    let files = archive.files().iter();
    for file in files.filter(|file| file.path.starts_with(KEYS)) {
        let mut take = |line: Line<'_>| {
            if let Ok(entry) = serde_json::from_slice::<StoredEntry<'_>>(line.text) {
                found.take(&entry, users);
            }
            Ok::<_, Error>(())
        };
        let mut splitter = LineSplitter::default();
        archive.stream_verified::<Error>(&file, &mut |piece| {
            interrupt::check()?;
            splitter.push(piece, &mut take)
        })?;
        splitter
            .finish(&mut take)
            .map_err(|error| error.at(&file.path))?;
    }
    Ok(found)
}

impl UserCores {
    fn take(&mut self, entry: &StoredEntry<'_>, users: &UserTable) {
        if let Some(core) = entry.key.strip_prefix("core-info/") {
            self.cores.push(core.to_owned());
        }
        let Some(name) = entry.key.strip_prefix("user-core/") else {
            return;
        };
        self.names += 1;
        if users.has_name(name) {
            return;
        }
        if is_token(name) && !users.knows_tokens() {
            self.tokens += 1;
        } else if self.missing.len() < LISTED {
            self.missing.push(UserInNoBackup {
                name: name.to_owned(),
                core: entry.value.to_string(),
            });
        } else {
            self.more += 1;
        }
    }
}
