//! Files of a copy that was interrupted: those stay whose digest is the one that they have to have.

use std::{collections::BTreeMap, fs, path::Path, sync::Mutex};

use decryptor_wasm::{
    Code, Error,
    layout::{PathKind, number_of},
};

use super::source::Run;
use crate::{
    archive::{
        ArchiveError,
        read::{Folder, MemberDigest, WholeVolume},
        sums::SumLine,
        write::remove,
    },
    digest, files, interrupt,
    limits::PIECE,
    progress::Tally,
    schedule,
    text::hex,
    threads::{lock, unlocked},
};

type Result<T> = std::result::Result<T, ArchiveError>;

/// Files of a run that need not be copied.
#[derive(Default)]
pub(super) struct Kept {
    /// Digests, by the paths from the folder of the run.
    files: BTreeMap<String, [u8; 32]>,
    /// The volumes that some of them lie in.
    pub volumes: Vec<WholeVolume>,
}

/// Removes the files below `folder` that cannot be of use, and folders that are empty then; returns the other files with their sizes. Where
/// there are links, or worse, all is removed.
pub(super) fn left(folder: &Path, useful: &dyn Fn(&str) -> bool) -> Result<Vec<(String, u64)>> {
    let Ok(found) = Folder::new(folder).list_stored() else {
        remove(folder).map_err(|e| ArchiveError::io(folder, e))?;
        fs::create_dir(folder).map_err(|e| ArchiveError::io(folder, e))?;
        return Ok(Vec::new());
    };
    let (useful, useless): (Vec<_>, Vec<_>) = found.iter().partition(|(path, _)| useful(path));
    for (path, _) in useless {
        take_away(folder, &path)?;
    }
    remove_empty(folder)?;
    Ok(useful)
}

/// Removes the folders below `folder` in which nothing lies; true when nothing is left.
fn remove_empty(folder: &Path) -> Result<bool> {
    let mut empty = true;
    for name in files::names(folder).map_err(|e| ArchiveError::io(folder, e))? {
        let path = folder.join(name);
        if path.is_dir() && remove_empty(&path)? {
            fs::remove_dir(&path).map_err(|e| ArchiveError::io(&path, e))?;
        } else {
            empty = false;
        }
    }
    Ok(empty)
}

fn take_away(folder: &Path, path: &str) -> Result<()> {
    let place = folder.join(path);
    fs::remove_file(&place).map_err(|e| ArchiveError::io(&place, e))
}

/// Whether a line states that digest.
pub(super) fn is(due: &[u8; 32], line: &SumLine) -> bool {
    hex(due) == line.sha256
}

impl Kept {
    /// Reads what lies in the folder of a run, and removes what is not one of its files, whole.
    pub fn find(
        run: &Run,
        folder: &Path,
        left: &[(String, u64)],
        jobs: usize,
        tally: &Tally,
    ) -> Result<Self> {
        let kept = Mutex::new(Kept::default());
        let at = Folder::new(folder);
        schedule::run(jobs, left.iter(), &|(path, size), _| {
            let stays = match number_of(path, ".tar") {
                Some(number) => {
                    let file = at.open(path)?;
                    let whole = WholeVolume::read(file, number, &mut |n| tally.add(0, n))?;
                    whole.is_some_and(|whole| lock(&kept).volume(run, whole))
                }
                None => {
                    let due = run.find(path).filter(|file| file.size == *size);
                    match due.map(|due| due.due) {
                        Some(due) => {
                            let found = sha256(&at, path, tally)?;
                            let fits = due.is_none_or(|due| due == found);
                            if fits {
                                lock(&kept).files.insert(path.clone(), found);
                            }
                            fits
                        }
                        None => false,
                    }
                }
            };
            match stays {
                true => Ok::<_, ArchiveError>(()),
                false => take_away(folder, path),
            }
        })?;
        Ok(unlocked(kept))
    }

    /// Whether a volume stays: all of its files have to be files of the run, which lie in no other.
    fn volume(&mut self, run: &Run, whole: WholeVolume) -> bool {
        let fits = |member: &MemberDigest| {
            run.find(&member.path).is_some_and(|file| {
                !PathKind::of(&file.path).is_separate()
                    && file.size == member.size
                    && file.due.is_none_or(|due| due == member.sha256)
                    && !self.files.contains_key(&file.path)
            })
        };
        if !whole.members.iter().all(fits) || whole.members.is_empty() {
            return false;
        }
        let members = whole.members.iter();
        self.files
            .extend(members.map(|member| (member.path.clone(), member.sha256)));
        self.volumes.push(whole);
        true
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How many files are kept.
    pub fn count(&self) -> u64 {
        self.files.len() as u64
    }

    /// The line of a file that is kept.
    pub fn line(&self, path: &str) -> Option<SumLine> {
        let sha256 = self.files.get(path)?;
        Some(SumLine::new(path, &hex(sha256)))
    }
}

fn sha256(folder: &Folder, path: &str, tally: &Tally) -> decryptor_wasm::Result<[u8; 32]> {
    let mut file = folder.open(path)?;
    let failed = |e| Error::of(Code::UnreadableFile).at(path).because(&e);
    digest::sha256(&mut file, &mut vec![0; PIECE], failed, &mut |n| {
        tally.add(0, n as u64);
        interrupt::check()
    })
}
