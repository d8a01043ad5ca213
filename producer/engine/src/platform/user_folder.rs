//! Where the files of a user lie.

use std::path::{Component, Path, PathBuf};

/// The folder of a user or of a series namespace: sharded by its last three characters.
pub fn folder(users_dir: &Path, id: &str) -> Option<PathBuf> {
    let mut folder = users_dir.to_owned();
    let last: Vec<char> = id.chars().rev().take(3).collect();
    if last.len() < 3 || !plain(id) {
        return None;
    }
    folder.extend(last.iter().map(char::to_string));
    folder.push(id);
    Some(folder)
}

/// Whether a name stays inside the folder that it is joined to.
pub fn plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(components.next(), Some(Component::Normal(c)) if c == name)
        && components.next().is_none()
        && !name.contains(['\\', '\0'])
}
