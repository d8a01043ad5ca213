//! Removing or moving an archive all of whose users were restored.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{MetadataExt, chown},
    path::{Component, Path, PathBuf},
};

use decryptor_wasm::{chain::run_of, layout::PathKind, plan::Finding};

use super::{Options, report::Report};
use crate::files;
use crate::limits::NAMED;
use crate::limits::PIECE;
use crate::{
    archive::read::{Archive, Folder},
    digest,
    failure::Failure,
    folders::lock,
    interrupt,
    state::{self, Memory},
};

/// The planned removal or move of the archive, known to be possible as far as that can be known before.
pub struct Disposal {
    /// The folder itself.
    dir: PathBuf,
    /// The link that the operator named instead of the folder.
    link: Option<PathBuf>,
    /// Where it goes; none to be removed.
    to: Option<PathBuf>,
    /// Where this host remembers what backups hold.
    state: Option<PathBuf>,
    /// Keeps runs from adding to a chain whose newest state is being restored.
    _lock: fs::File,
}

impl Disposal {
    /// Looks, before anything is written, whether what is asked for can be done.
    pub fn plan(how: &Options) -> Result<Option<Self>, Failure> {
        if !how.disposes() {
            return Ok(None);
        }
        let dir = how.opening.dir.folder().filter(|dir| !dir.is_file());
        let Some(dir) = dir else {
            return Err(Failure::usage(
                "only a backup in a folder is removed or moved after a restore: remove a tar file, or what is in an object store, with another program",
            ));
        };
        if how.opening.at.is_some() {
            return Err(Failure::usage(
                "the backup can be removed or moved only when its newest state is restored, and another was asked for",
            ));
        }
        // Without a slash at its end, which would lead through a link.
        let named: PathBuf = dir.components().collect();
        let is_link = fs::symlink_metadata(&named).is_ok_and(|about| about.is_symlink());
        let real = fs::canonicalize(dir)
            .map_err(|e| Failure::failed(format!("cannot read {}: {e}", dir.display())))?;
        let to = how.move_on_success.as_deref();
        Ok(Some(Self {
            to: to.map(|to| place(to, &real)).transpose()?,
            link: is_link.then_some(named),
            state: state::folder(how.opening.expect.trust.state_dir.as_deref()).ok(),
            _lock: lock(&real, "a backup")?,
            dir: real,
        }))
    }

    /// Removes or moves it; what keeps it from that is told in the report.
    pub fn run(&self, archive: &Archive, report: &mut Report) {
        // The restored files are proven; others that lie there may be newer, or all that is left of what somebody changed.
        let other = |found: &&Finding| matches!(found.code, "other-signer" | "uncommitted");
        if let Some(other) = archive.plan.findings.iter().find(other) {
            report.archive_failed = Some(format!(
                "all users were restored, and the backup was left where it is: {}",
                other.message
            ));
            return;
        }
        if report.users.is_empty() {
            let what = "the backup holds no users: it was left where it is";
            report.warnings.push(what.to_owned());
            return;
        }
        let (what, done) = match &self.to {
            Some(to) => ("moved", self.relocate(to, report)),
            None => {
                let signed = archive.signed.as_ref();
                let base = signed.map(|signed| signed.statement.base.as_str());
                ("removed", self.remove(base, report))
            }
        };
        let link = || self.link.as_ref().map_or(Ok(()), fs::remove_file);
        if let Err(error) = done.and_then(|()| link()) {
            report.archive_failed = Some(format!(
                "all users were restored, but the backup could not be {what}: {}: {error}",
                self.to.as_ref().unwrap_or(&self.dir).display()
            ));
        }
    }

    /// Takes away what is the archive's, and the folder if nothing else is in it.
    fn remove(&self, base: Option<&str>, report: &mut Report) -> io::Result<()> {
        let listing = Folder::new(&self.dir);
        let listing = listing.list_stored().map_err(io::Error::other)?;
        let own = |path: &String| {
            run_of(path).is_some_and(|(_, path)| !matches!(PathKind::of(path), PathKind::Stray))
        };
        let (own, others): (Vec<_>, Vec<_>) = listing.iter().map(|(path, _)| path).partition(own);
        report.archive = None;
        if let (Some(state), Some(base)) = (&self.state, base) {
            Memory::new(state).forget(&self.dir.as_path().into(), base)?;
        }
        self.clear(&own, others, report)
    }

    /// Removes these files and the folders that they were in. What else is there stays and is named.
    fn clear(&self, own: &[String], others: Vec<String>, report: &mut Report) -> io::Result<()> {
        // Without its manifest nobody takes what is left for a whole archive.
        let manifest = "manifest.json".to_owned();
        if own.contains(&manifest) {
            fs::remove_file(self.dir.join(&manifest))?;
            sync(&self.dir)?;
        }
        let mut folders = BTreeSet::from([self.dir.clone()]);
        for path in own.iter().filter(|path| **path != manifest) {
            let path = self.dir.join(path);
            fs::remove_file(&path)?;
            let above = path.ancestors().skip(1);
            folders.extend(above.take_while(|p| *p != self.dir).map(Path::to_owned));
        }
        // Those within come after.
        for folder in folders.iter().rev() {
            match fs::remove_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::DirectoryNotEmpty => return Err(e),
                _ => {}
            }
        }
        if !self.dir.exists() {
            return Ok(());
        }
        let mut left = others;
        if left.is_empty() {
            let entries = fs::read_dir(&self.dir)?.flatten();
            left = entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
        }
        let more = match left.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        left.truncate(NAMED);
        report.warnings.push(format!(
            "{} was left with what is no part of the backup: {}{more}",
            self.dir.display(),
            left.join(", ")
        ));
        Ok(())
    }

    /// Renames; across file systems it copies, compares and removes.
    fn relocate(&self, to: &Path, report: &mut Report) -> io::Result<()> {
        let parent = to.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent)?;
        match fs::rename(&self.dir, to) {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {}
            other => {
                other?;
                report.archive = Some(to.display().to_string());
                sync(parent)?;
                return self.dir.parent().map_or(Ok(()), sync);
            }
        }
        let listing = Folder::new(&self.dir);
        let listing = listing.list_stored().map_err(io::Error::other)?;
        let files: Vec<String> = listing.iter().map(|(path, _)| path).collect();
        // Under another name until it is whole.
        let aside = partial(to);
        fs::create_dir(&aside)?;
        let copied = self
            .copy(&files, &aside)
            .and_then(|()| fs::rename(&aside, to));
        if let Err(error) = copied {
            // A part of it is of no use to anybody.
            let _ = fs::remove_dir_all(&aside);
            return Err(error);
        }
        report.archive = Some(to.display().to_string());
        sync(parent)?;
        self.clear(&files, Vec::new(), report)
    }

    /// Copies every file with its owner and times, and reads each copy to see that it is the same. All is on the disk when it ends.
    fn copy(&self, files: &[String], aside: &Path) -> io::Result<()> {
        let mut folders = BTreeSet::from([PathBuf::new()]);
        for path in files {
            let above = Path::new(path).ancestors().skip(1);
            folders.extend(above.map(Path::to_owned));
        }
        for folder in folders.iter().filter(|path| !path.as_os_str().is_empty()) {
            fs::create_dir(aside.join(folder))?;
        }
        for path in files {
            interrupt::check().map_err(io::Error::other)?;
            let (from, copy) = (self.dir.join(path), aside.join(path));
            files::copy(&from, &copy)?;
            if !same(&from, &copy)? {
                return Err(io::Error::other(format!("the copy of {path} differs")));
            }
            alike(&from, &copy)?;
        }
        for folder in folders.iter().rev() {
            alike(&self.dir.join(folder), &aside.join(folder))?;
        }
        Ok(rustix::fs::syncfs(fs::File::open(aside)?)?)
    }
}

/// Where the archive is to go, without links on the way.
fn place(to: &Path, dir: &Path) -> Result<PathBuf, Failure> {
    let usage = |what: &str| {
        Failure::usage(format!(
            "the backup cannot be moved to {}: {what}; nothing was restored",
            to.display()
        ))
    };
    let absolute = std::path::absolute(to).map_err(|e| usage(&e.to_string()))?;
    for taken in [&absolute, &partial(&absolute)] {
        if fs::symlink_metadata(taken).is_ok() {
            let what = format!("{} is there already", taken.display());
            return Err(usage(&what));
        }
    }
    let there = absolute.ancestors().find(|path| path.exists());
    let there = there.unwrap_or(Path::new("/"));
    let rest = absolute.strip_prefix(there).unwrap_or(&absolute);
    if rest.components().any(|c| c == Component::ParentDir) {
        return Err(usage("`..` leads out of a folder that is not there"));
    }
    let there = fs::canonicalize(there).map_err(|e| usage(&e.to_string()))?;
    if !there.is_dir() {
        return Err(usage(&format!("{} is no folder", there.display())));
    }
    if there.starts_with(dir) {
        return Err(usage("that is inside the backup"));
    }
    Ok(there.join(rest))
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Gives a copy the times of what it is a copy of, and as root its owner.
fn alike(from: &Path, copy: &Path) -> io::Result<()> {
    let about = fs::metadata(from)?;
    if rustix::process::geteuid().is_root() {
        // A disk that knows no owners is a place for backups too.
        let _ = chown(copy, Some(about.uid()), Some(about.gid()));
    }
    let times = fs::FileTimes::new()
        .set_modified(about.modified()?)
        .set_accessed(about.accessed()?);
    fs::File::open(copy)?.set_times(times)
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn same(a: &Path, b: &Path) -> io::Result<bool> {
    let mut buffer = vec![0; PIECE];
    let mut digest = |path: &Path| {
        let mut file = fs::File::open(path)?;
        digest::sha256(&mut file, &mut buffer, |e| e, &mut |_| {
            Ok::<_, io::Error>(())
        })
    };
    Ok(digest(a)? == digest(b)?)
}
