//! The file by which Pryv.io knows that the audit trails of a platform are of the present version, and looks for none of the previous one.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::{new_file, owner, refused};
use crate::files;
use crate::platform::write::RestoreError;

const NAME: &str = "audit-db-version-1.0.0.txt";
/// As Pryv.io writes it.
const CONTENT: &str = "DO NOT DELETE THIS FILE - IT IS USED TO DETECT MIGRATION SUCCESS";
/// Previous name of a user's audit trail.
const PREVIOUS: &str = "audit.sqlite";
/// Folders between that of all users and the files of one.
const DEPTH: usize = 4;

/// Writes it, unless some user has an audit trail of the previous version, which Pryv.io is then to migrate.
pub fn leave(base: &Path) -> Result<(), RestoreError> {
    let path = base.join(NAME);
    if fs::symlink_metadata(&path).is_ok() || is_previous(base, DEPTH)? {
        return Ok(());
    }
    owner::make_file(base, &path)?;
    let mut file = new_file(&path)?;
    let written = file.write_all(CONTENT.as_bytes());
    let stored = written.and_then(|()| files::close(file));
    stored.map_err(|e| refused(&path, e))
}

fn is_previous(folder: &Path, depth: usize) -> Result<bool, RestoreError> {
    if depth == 0 {
        return Ok(fs::symlink_metadata(folder.join(PREVIOUS)).is_ok());
    }
    let names = match files::names(folder) {
        // Other users come and go meanwhile.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|e| refused(folder, e))?,
    };
    for name in names {
        // The files that lie aside are no user's yet.
        if name == super::NAME {
            continue;
        }
        let path = folder.join(name);
        if path.is_dir() && is_previous(&path, depth - 1)? {
            return Ok(true);
        }
    }
    Ok(false)
}
