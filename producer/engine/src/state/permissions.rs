//! Access of others than its owner to a key file.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Access of others than the owner to the key.
pub enum Others {
    Nothing,
    /// With the mode of the file.
    MayRead(u32),
    /// To this.
    MayWrite(PathBuf),
}

/// Finds out who else has access to the key `name` in a folder.
pub fn others(key: &fs::File, folder: &Path, name: &str) -> io::Result<Others> {
    const ALL_WRITE: u32 = 0o002;
    // In a folder with that bit, files are renamed and removed by their owners only.
    const STICKY: u32 = 0o1000;
    let mode = key.metadata()?.permissions().mode();
    let above = fs::metadata(folder)?.permissions().mode();
    Ok(match () {
        () if mode & ALL_WRITE != 0 => Others::MayWrite(folder.join(name)),
        () if above & ALL_WRITE != 0 && above & STICKY == 0 => Others::MayWrite(folder.to_owned()),
        () if mode & 0o077 != 0 => Others::MayRead(mode & 0o777),
        () => Others::Nothing,
    })
}
