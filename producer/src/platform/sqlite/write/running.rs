//! Whether somebody uses the files of a platform.

use std::fs;
use std::path::Path;

/// Whether another process on this machine has a file below the folder open, as far as this user may see that.
pub fn holds(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else {
        return false;
    };
    let own = fs::read_link("/proc/self").unwrap_or_default();
    let Ok(processes) = fs::read_dir("/proc") else {
        return false;
    };
    // Beside the processes there are other names for this one.
    let is_other = |process: &fs::DirEntry| {
        let name = process.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit) && name != own.as_os_str()
    };
    processes
        .flatten()
        .filter(is_other)
        .filter_map(|process| fs::read_dir(process.path().join("fd")).ok())
        .flat_map(|files| files.flatten())
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target.starts_with(&folder))
}
