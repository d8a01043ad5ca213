//! Disks that are unlike the one of the tests.

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

/// A disk that takes `A` and `a` for the same name.
pub struct CaselessDisk(pub PathBuf);

impl CaselessDisk {
    /// Mounts it at a new folder, of which `at` is the path. `None` (and a line that says so) where this user may not, or without ntfs-3g.
    ///
    /// # Panics
    /// When its files cannot be made.
    #[must_use]
    pub fn mount(at: PathBuf) -> Option<Self> {
        let image = at.with_extension("image");
        fs::create_dir(&at).unwrap();
        fs::File::create(&image)
            .unwrap()
            .set_len(16 * 1024 * 1024)
            .unwrap();
        let done = |command: &mut Command| command.output().is_ok_and(|o| o.status.success());
        let mounted = done(
            Command::new("mkntfs")
                .args(["--quiet", "--force", "--quick"])
                .arg(&image),
        ) && done(
            Command::new("lowntfs-3g")
                .args(["-o", "ignore_case"])
                .arg(&image)
                .arg(&at),
        );
        crate::need::need("caseless", mounted.then_some(Self(at)))
    }
}

impl Drop for CaselessDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
