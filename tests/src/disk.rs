//! A disk that is soon full.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A small file system of its own.
pub struct SmallDisk(pub PathBuf);

impl SmallDisk {
    /// Mounts it at a new folder; `size` is an option of tmpfs. `None` (and a line that says so) where this user may
    /// not mount.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn mount(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(&at)
            .output();
        let mounted = mounted.is_ok_and(|o| o.status.success());
        crate::need::need("mount", mounted.then_some(Self(at)))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
