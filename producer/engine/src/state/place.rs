//! Where states are: a folder for each chain, named by the id of its first run.

use std::{
    env,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::geteuid;

use super::{Memory, Pending, State, is_absent};
use crate::files;

/// The state of the newest run.
const STATE: &str = "state";
/// That of a run that is about to be committed.
const NEW: &str = "state.new";
/// Prefix of the files of a run that is at work, or that died.
pub const UNFINISHED: &str = ".state-";
/// How long nobody has written to what a dead run has left.
const SETTLED: Duration = Duration::from_secs(60);
/// How long nobody has added to a chain that may be gone: thirty days.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// For its owner alone.
const PRIVATE: u32 = 0o700;

/// The folder of all states, and this run's hold on that of its chain.
pub struct StateFolder {
    folder: PathBuf,
    lock: Option<File>,
}

impl StateFolder {
    /// The folder of all states, made when it is not there.
    ///
    /// # Errors
    /// A sentence.
    pub fn open(folder: PathBuf) -> Result<Self, String> {
        let at = |e: io::Error| format!("{}: {e}", folder.display());
        make(&folder).map_err(at)?;
        clear(&folder).map_err(at)?;
        Ok(StateFolder { folder, lock: None })
    }

    /// Where something unfinished may lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The state of a chain as of its run `newest`; otherwise why there is none.
    ///
    /// # Errors
    /// When the system refuses, or another run has it.
    pub fn load(&mut self, base: &str, newest: &str) -> io::Result<Result<State, String>> {
        let own = self.own(base)?;
        let read = |name: &str| State::open(&own.join(name));
        // A run died between its commit and its last step.
        if let Ok(Some(state)) = read(NEW)
            && state.header.archive_id == newest
        {
            self.commit(base)?;
            return Ok(Ok(state));
        }
        remove(&own.join(NEW))?;
        Ok(match read(STATE) {
            Ok(Some(state)) if state.header.archive_id == newest && state.header.base == base => {
                Ok(state)
            }
            Ok(Some(_)) => Err("what this host remembers is of another run".to_owned()),
            Ok(None) => Err("this host remembers nothing of the run before".to_owned()),
            Err(what) => Err(format!("what this host remembers cannot be used: {what}")),
        })
    }

    /// Whether this host has made runs of a chain with this key.
    pub fn knows(&self, base: &str, signer: &str) -> bool {
        let own = self.folder.join(base);
        let mut names = [STATE, NEW].into_iter();
        names.any(|name| {
            let state = State::open(&own.join(name)).ok().flatten();
            state.is_some_and(|state| state.header.signer == signer)
        })
    }

    /// Puts the state of a run aside that is about to be committed.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn propose(&mut self, base: &str, pending: Pending) -> io::Result<()> {
        pending.put(&self.own(base)?.join(NEW))
    }

    /// The run is committed: its state takes the place of the one before.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn commit(&mut self, base: &str) -> io::Result<()> {
        let own = self.own(base)?;
        fs::rename(own.join(NEW), own.join(STATE))?;
        File::open(&own)?.sync_all()
    }

    /// The folder of a chain, which is made, locked, and cleared of what a dead run left.
    fn own(&mut self, base: &str) -> io::Result<PathBuf> {
        let own = self.folder.join(base);
        if self.lock.is_some() {
            return Ok(own);
        }
        let made = DirBuilder::new().mode(PRIVATE).create(&own);
        if let Err(e) = made
            && e.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(e);
        }
        fs::set_permissions(&own, fs::Permissions::from_mode(PRIVATE))?;
        let lock = File::open(&own)?;
        if !files::try_lock(&lock) {
            return Err(io::Error::other(
                "another run of this chain is at work; wait for it",
            ));
        }
        self.lock = Some(lock);
        Ok(own)
    }
}

/// Makes the folder, for its owner alone, if it is not there.
pub fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(PRIVATE).create(folder)
}

/// Removes the state of a chain.
pub fn drop_state(folder: &Path, base: &str) -> io::Result<()> {
    match fs::remove_dir_all(folder.join(base)) {
        Err(e) if !is_absent(&e) => Err(e),
        _ => Ok(()),
    }
}

/// Removes the states to which no run has added for long, and whose chain is not where it was made: they would become many. What is
/// left of them costs a full run, should the chain come back.
///
/// # Errors
/// When the system refuses.
pub fn remove_forgotten(folder: &Path, memory: &Memory) -> io::Result<()> {
    let mut kept = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let state = entry.path().join(STATE);
        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let is_id = name.len() == 64 && name.bytes().all(digit);
        let old = || Some(fs::metadata(&state).ok()?.modified().ok()?.elapsed().ok()? > FORGOTTEN);
        if !is_id || old() != Some(true) {
            continue;
        }
        let kept = match &mut kept {
            Some(kept) => kept,
            none => none.insert(memory.bases()?),
        };
        let of_it = |state: State| state.header.base == name;
        if !kept.contains(&name) && State::open(&state).ok().flatten().is_some_and(of_it) {
            drop_state(folder, &name)?;
        }
    }
    Ok(())
}

/// Removes what runs have left that died. One that is at work holds a lock on its file, but for the moment in which it makes it.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let file = match File::open(entry.path()) {
            // It got its name meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let age = file.metadata()?.modified()?.elapsed();
        let settled = age.is_ok_and(|age| age > SETTLED);
        if settled && files::is_unlocked(&file) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Whether a run may be the newest of its chain, as far as the states in `folder` remember that chain.
///
/// # Errors
/// A sentence, when what they remember cannot be read.
pub fn may_be_newest(folder: &Path, base: &str, id: &str) -> Result<bool, String> {
    let mut remembered = None;
    // A run that died may have been committed or not.
    for name in [STATE, NEW] {
        let path = folder.join(base).join(name);
        match State::open(&path) {
            Ok(None) => {}
            Ok(Some(state)) if state.header.archive_id == id => return Ok(true),
            Ok(Some(_)) => remembered = Some(()),
            Err(_) if name == NEW => {}
            Err(e) => return Err(format!("{}: {e}", path.display())),
        }
    }
    Ok(remembered.is_none())
}

/// Where states are: the folder that is given, or else the usual one.
///
/// # Errors
/// A sentence, when there is no such place.
pub fn folder(given: Option<&Path>) -> Result<PathBuf, String> {
    given.map_or_else(usual, |given| Ok(given.to_owned()))
}

fn usual() -> Result<PathBuf, String> {
    if geteuid().is_root() {
        return Ok("/var/lib/pryv-backup".into());
    }
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = set("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    base.map(|base| base.join("pryv-backup"))
        .ok_or_else(|| "neither XDG_STATE_HOME nor HOME is set".to_owned())
}
