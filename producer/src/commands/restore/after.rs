//! What becomes of an archive all of whose users were restored.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::report::Report;
use crate::{archive::read::Folder, cli::RestoreArgs, failure::Failure};

/// Removes or moves it, as asked.
pub fn archive(dir: &Path, how: &RestoreArgs, report: &mut Report) -> Result<(), Failure> {
    if how.delete_on_success {
        fs::remove_dir_all(dir).map_err(|e| failed("remove", dir, &e))?;
        report.archive = None;
    } else if let Some(to) = &how.move_on_success {
        relocate(dir, to)?;
        report.archive = Some(to.display().to_string());
    }
    Ok(())
}

fn failed(what: &str, dir: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!(
        "all users were restored, but the backup could not be {what}d: {}: {error}",
        dir.display()
    ))
}

/// Renames; across file systems it copies, compares and removes.
fn relocate(dir: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |e: io::Error| failed("move", to, &e);
    if to.exists() {
        return Err(failed(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is something already",
        )));
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match fs::rename(dir, to) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {}
        other => return other.map_err(failed),
    }
    // Under another name until it is whole.
    let mut aside = to.as_os_str().to_owned();
    aside.push(".partial");
    let aside = PathBuf::from(aside);
    let outcome = copy(dir, &aside, &failed).and_then(|()| fs::rename(&aside, to).map_err(failed));
    if let Err(failure) = outcome {
        // What is only a part of it is of no use to anybody.
        let _ = fs::remove_dir_all(&aside);
        return Err(failure);
    }
    fs::remove_dir_all(dir).map_err(failed)
}

/// Copies every file, and reads each copy to see that it is the same.
fn copy(dir: &Path, aside: &Path, failed: &dyn Fn(io::Error) -> Failure) -> Result<(), Failure> {
    for (path, _) in Folder::new(dir).list()? {
        let (from, copy) = (dir.join(&path), aside.join(&path));
        if let Some(parent) = copy.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::copy(&from, &copy).map_err(failed)?;
        fs::File::open(&copy)
            .and_then(|f| f.sync_all())
            .map_err(failed)?;
        if !same(&from, &copy).map_err(failed)? {
            return Err(failed(io::Error::other(format!(
                "the copy of {path} differs"
            ))));
        }
    }
    Ok(())
}

fn same(a: &Path, b: &Path) -> io::Result<bool> {
    let digest = |path: &Path| {
        use sha2::Digest;
        let mut digest = sha2::Sha256::new();
        let mut file = fs::File::open(path)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match io::Read::read(&mut file, &mut buffer)? {
                0 => return Ok::<_, io::Error>(digest.finalize()),
                n => digest.update(&buffer[..n]),
            }
        }
    };
    Ok(digest(a)? == digest(b)?)
}
