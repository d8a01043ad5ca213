//! Names of the files that lie aside. Those of each kind begin in their own way, so that they never meet, whatever a user is called.
//!
//! Earlier versions named them by endings: the folder `<userId>`, its journal `<userId>.json`, made as `<userId>.tmp`, and the list
//! `<archive>.begun`. What such a run left is understood.

use std::fs;
use std::path::{Path, PathBuf};

/// Held while a restore is at work.
pub const LOCK: &str = "lock";
const FILES: &str = "files-";
const JOURNAL: &str = "journal-";
const NEW: &str = "new-";
const RESTORED: &str = "begun-";
/// In the name of a folder that was replaced in two steps: between the number of the new one and its own.
const PREVIOUS: &str = ".former-";

/// The files of a user.
pub fn files(root: &Path, user_id: &str) -> PathBuf {
    root.join(format!("{FILES}{user_id}"))
}

/// The journal of a user.
pub fn journal(root: &Path, user_id: &str) -> PathBuf {
    root.join(format!("{JOURNAL}{user_id}"))
}

/// The same until it is whole.
pub fn new_journal(root: &Path, user_id: &str) -> PathBuf {
    root.join(format!("{NEW}{user_id}"))
}

/// The list of an archive's users who are restored, under its name now and under the one that earlier versions gave it.
pub fn restored_users(root: &Path, archive_id: &str) -> [PathBuf; 2] {
    let id: String = archive_id.chars().take(32).collect();
    [format!("{RESTORED}{id}"), format!("{id}.begun")].map(|name| root.join(name))
}

/// Whether a file is such a list.
pub fn is_restored_list(name: &str) -> bool {
    name.starts_with(RESTORED) || name.ends_with(".begun")
}

/// Whether a file may be a journal.
pub fn is_journal(name: &str) -> bool {
    name.starts_with(JOURNAL) || (name.ends_with(".json") && !name.starts_with(NEW))
}

/// Where the files of a user are whose journal is called so; none when that is not how one of this user is called.
pub fn files_of(root: &Path, journal: &str, user_id: &str) -> Option<PathBuf> {
    if journal.strip_prefix(JOURNAL) == Some(user_id) {
        return Some(files(root, user_id));
    }
    (journal.strip_suffix(".json") == Some(user_id)).then(|| root.join(user_id))
}

/// Whether a file was to become a journal.
pub fn is_new_journal(name: &str) -> bool {
    name.starts_with(NEW) || name.ends_with(".tmp")
}

/// Whether a folder holds files of a user, and no journal says what is to become of them.
pub fn is_left(root: &Path, name: &str) -> bool {
    match name.strip_prefix(FILES) {
        Some(user_id) => !journal(root, user_id).exists(),
        None => {
            let ours = |name: &str| number(name).is_some();
            crate::files::names(&root.join(name))
                .is_ok_and(|names| names.iter().all(|name| name.to_str().is_some_and(ours)))
                && !root.join(format!("{name}.json")).exists()
        }
    }
}

/// Number of a folder that was made aside, or whose place such a folder took, by its name.
pub fn number(name: &str) -> Option<usize> {
    let (number, rest) = name.split_once(PREVIOUS).unwrap_or((name, "0"));
    rest.parse::<usize>().ok()?;
    number.parse().ok()
}

/// A name that nothing has, for what a numbered folder takes the place of.
pub fn previous(numbered: &Path) -> PathBuf {
    let mut count = 0;
    loop {
        let mut name = numbered.as_os_str().to_owned();
        name.push(format!("{PREVIOUS}{count}"));
        let path = PathBuf::from(name);
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_users_do_not_clash() {
        let root = Path::new("/aside");
        let mut all = std::collections::HashSet::new();
        for id in [
            "x",
            "x.json",
            "x.tmp",
            "lock",
            "begun-x",
            "journal-x",
            "new-x",
            "0",
        ] {
            for path in [files(root, id), journal(root, id), new_journal(root, id)] {
                assert!(all.insert(path), "{id}");
            }
        }
        assert!(!all.contains(&root.join(LOCK)));
        let own = |journal, id| files_of(root, journal, id);
        assert_eq!(own("journal-x.json", "x.json"), Some(files(root, "x.json")));
        assert_eq!(own("x.json", "x"), Some(root.join("x")));
        assert_eq!(
            own("journal-x.json", "journal-x"),
            Some(root.join("journal-x"))
        );
        assert_eq!(own("journal-x", "y"), None);
    }

    #[test]
    fn folders_are_numbered() {
        assert_eq!(number("12"), Some(12));
        assert_eq!(number("3.former-1"), Some(3));
        for other in ["precious", "1.former-", "1.old", ""] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
