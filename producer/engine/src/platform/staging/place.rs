//! Where the folders of users are: whether a new one can come there, and how it does.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{names, refused};
use crate::platform::write::RestoreError;

/// Whether the place aside is one: nothing that somebody else has put there is followed, written to or swept.
pub fn is_ours(base: &Path, root: &Path) -> Result<bool, RestoreError> {
    let about = match fs::symlink_metadata(root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|e| refused(root, e))?,
    };
    let base = fs::metadata(base).map_err(|e| refused(base, e))?;
    let owners = [0, rustix::process::geteuid().as_raw(), base.uid()];
    let what = match (about.is_dir(), owners.contains(&about.uid())) {
        (true, true) => return Ok(true),
        (true, false) => "belongs neither to root nor to the owner of the users' folder",
        (false, _) => "is no folder",
    };
    Err(RestoreError::Conflict {
        what: format!(
            "{} {what}: a restore keeps there what is not in place yet; look what it is, and move it away",
            root.display()
        ),
    })
}

/// Refuses a place to which a folder that is made in `aside` could not be renamed, or where that would leave behind what is there.
pub fn check(place: &Path, aside: &Path) -> Result<(), RestoreError> {
    let conflict = |what: &str| RestoreError::Conflict {
        what: format!("{} {what}", place.display()),
    };
    match fs::symlink_metadata(place) {
        // The files that it leads to would stay, with all that the user had.
        Ok(there) if there.is_symlink() => Err(conflict(
            "is a link, and a restore puts a new folder in the place of the old one: put the folder itself there first",
        )),
        Ok(there) if !there.is_dir() => {
            Err(conflict("is no folder: look what it is, and move it away"))
        }
        _ => {
            let disk = |path: &Path| fs::metadata(path).map(|about| about.dev()).ok();
            let there = place.ancestors().find_map(disk);
            match there == disk(aside) {
                true => Ok(()),
                false => Err(conflict(
                    "is on another file system than the users' folder, where the new files are made: put it there first",
                )),
            }
        }
    }
}

/// Puts a new folder in its place. What was there comes to where the new one was, or beside it.
pub fn put(new: &Path, place: &Path) -> Result<(), RestoreError> {
    let swap = |flags| renameat_with(CWD, new, CWD, place, flags);
    let swapped = match swap(RenameFlags::EXCHANGE) {
        Err(Errno::NOENT) => swap(RenameFlags::NOREPLACE),
        other => other,
    };
    match swapped {
        // NFS, CIFS and others rename only.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => in_two_steps(new, place)?,
        other => other.map_err(|e| refused(place, e.into()))?,
    }
    place.parent().map_or(Ok(()), sync)
}

/// Whoever finds nothing in the place knows from the journal that the second step is still to be done.
fn in_two_steps(new: &Path, place: &Path) -> Result<(), RestoreError> {
    let previous = names::previous(new);
    match fs::rename(place, &previous) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        other => {
            other.map_err(|e| refused(place, e))?;
            new.parent().map_or(Ok(()), sync)?;
        }
    }
    fs::rename(new, place).map_err(|e| refused(place, e))
}

/// Makes the renames in a folder outlive a crash.
pub fn sync(folder: &Path) -> Result<(), RestoreError> {
    let failed = |e| refused(folder, e);
    File::open(folder)
        .map_err(failed)?
        .sync_all()
        .map_err(failed)
}
