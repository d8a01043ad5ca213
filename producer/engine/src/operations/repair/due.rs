//! The digests that the files of a run have to have.

use std::{collections::BTreeMap, sync::Mutex};

use decryptor_wasm::{
    DataKey, Error, Inventory, UserManifest,
    chain::run_of,
    layout::{PathKind, is_safe_path, number_of},
    signature::{FilesDigest, Signer, is_signed_path},
};

use super::{
    Repair, Run,
    manifest::{holds, open_manifest},
};
use crate::{
    archive::{
        read::{Folder, ReadFile, WholeVolume},
        sums::{SUMS, SumLine},
    },
    digest::{self, sha256_hex},
    failure::Failure,
    interrupt,
    limits::PIECE,
    progress::Tally,
    schedule,
    text::{hex, unhex},
    threads::{lock, unlocked},
};

/// By the paths from the folder of the run.
pub(super) type Digests = BTreeMap<String, [u8; 32]>;

/// See the module.
pub(super) struct Due {
    pub digests: Digests,
    /// Whether these are all files that were signed.
    pub complete: bool,
}

impl Due {
    fn all(digests: Digests) -> Option<Self> {
        Some(Due {
            digests,
            complete: true,
        })
    }
}

/// The SHA-256 of a file; none where it is not there or cannot be read.
pub(super) fn hash(folder: &Folder, path: &str, tally: &Tally) -> Option<[u8; 32]> {
    let mut file = folder.find(path).ok()??;
    let failed = |e: std::io::Error| Error::damaged(e.to_string());
    let mut buffer = vec![0; PIECE.min(usize::try_from(file.size().max(4096)).unwrap_or(PIECE))];
    let digest = digest::sha256(&mut file, &mut buffer, failed, &mut |n| {
        tally.add(0, n as u64);
        interrupt::check()
    });
    digest.ok()
}

impl Repair<'_> {
    /// The digests of the files of a run; none, which is noted, where nothing says them.
    pub(super) fn due(&self, run: &Run, key: Option<&DataKey>) -> Result<Option<Due>, Failure> {
        let due = match self.inventoried(run, key) {
            Some(due) => Some(due),
            None => self.signed(run)?,
        };
        let Some(due) = due else {
            self.leave(format!(
                "run {}: neither {SUMS} nor {} tells which files were signed, so none of them was replaced",
                run.number, self.name
            ));
            return Ok(None);
        };
        if !run.head.proven && self.is_contradicted(run, &due)? {
            self.leave(format!(
                "run {}: the files that {SUMS} lists are there, and its signature states others: nothing proves that it is the right one, so none of them was replaced (that is known with the key, or when you name the signer whom you expect)",
                run.number
            ));
            return Ok(None);
        }
        Ok(Some(due))
    }

    /// Those whose digest of all was signed, as the lists say them or as the files are.
    fn signed(&self, run: &Run) -> Result<Option<Due>, Failure> {
        let own = self.sums.as_ref().map(|sums| of_run(run.number, sums));
        if let Some(digests) = own.filter(|digests| fits(run, digests)) {
            return Ok(Due::all(digests));
        }
        if let Some(digests) = listed(run, &self.other) {
            return Ok(Due::all(digests));
        }
        // Of files in volumes, only the digest of all of them is known.
        let theirs = self.hashed(&run.other, |_| true)?;
        if fits(run, &theirs) {
            return Ok(Due::all(theirs));
        }
        let (whole, _) = self.whole_volumes(run)?;
        let mut mixed = self.hashed(&run.own, |path| {
            PathKind::of(path).is_separate() || whole.contains_key(path)
        })?;
        for (path, digest) in theirs {
            match mixed.get(&path) {
                Some(_) if whole.contains_key(&path) => {}
                _ => drop(mixed.insert(path, digest)),
            }
        }
        interrupt::check()?;
        Ok(Due::all(mixed).filter(|due| fits(run, &due.digests)))
    }

    /// Whether a file that lies there as the lists of the archive name it is not one of `due`; or all do, and one of `due` is not there.
    fn is_contradicted(&self, run: &Run, due: &Due) -> Result<bool, Failure> {
        let Some(sums) = &self.sums else {
            return Ok(false);
        };
        let listed = of_run(run.number, sums);
        if listed == due.digests {
            return Ok(false);
        }
        let (mut held, mut all) = self.whole_volumes(run)?;
        for (path, digest) in listed {
            match hash(&run.own, &path, self.tally) == Some(digest) {
                true => drop(held.insert(path, digest)),
                false => all = false,
            }
            interrupt::check()?;
        }
        let differs = |(path, digest): (&String, &[u8; 32])| match due.digests.get(path) {
            Some(due) => due != digest,
            None => due.complete,
        };
        if held.is_empty() || held.iter().any(differs) {
            return Ok(!held.is_empty());
        }
        let is_there = |(path, digest): (&String, &[u8; 32])| {
            held.contains_key(path) || hash(&run.own, path, self.tally) == Some(*digest)
        };
        Ok(all && !due.digests.iter().all(is_there))
    }

    /// Those that the inventories say.
    fn inventoried(&self, run: &Run, key: Option<&DataKey>) -> Option<Due> {
        let Run {
            own, other, head, ..
        } = run;
        if key.is_none() && head.manifest.starts_with(decryptor_wasm::container::MAGIC) {
            return None;
        }
        let manifest = open_manifest(&head.manifest, key)?;
        let signer = Signer::parse(manifest.signer.as_deref()?).ok()?;
        if !holds(&signer, &head.manifest, &head.signature) {
            return None;
        }
        let mut digests = Digests::new();
        let mut add = |inventory: &Inventory| {
            for file in inventory.files.iter() {
                let digest = unhex(&file.sha256);
                if let Some(digest) = digest.filter(|_| is_safe_path(&file.path)) {
                    digests.insert(file.path, digest);
                }
            }
        };
        let inventory = manifest.inventory.as_ref()?;
        add(inventory);
        let mut complete = true;
        for file in inventory.files.iter() {
            let PathKind::UserManifest { user } = PathKind::of(&file.path) else {
                continue;
            };
            let read = [own, other].into_iter().find_map(|folder| {
                let found = folder.find(&file.path).ok()??;
                // One that is longer is another.
                let fits = found.size() == file.size;
                let stored = fits.then(|| folder.read(&file.path).ok())??;
                let fits = sha256_hex(&stored).eq_ignore_ascii_case(&file.sha256);
                let content = fits.then(|| ReadFile::of_manifest(key).whole(&stored).ok())??;
                UserManifest::parse(&content.bytes, &user).ok()?.inventory
            });
            match read {
                Some(inventory) => add(&inventory),
                None => complete = false,
            }
        }
        (!complete || fits(run, &digests)).then_some(Due { digests, complete })
    }

    /// The digests of the files of a run as they lie in a folder.
    fn hashed(
        &self,
        folder: &Folder,
        which: impl Fn(&str) -> bool + Sync,
    ) -> Result<Digests, Failure> {
        let Ok(listed) = folder.list(false) else {
            return Ok(Digests::new());
        };
        let digests = Mutex::new(Digests::new());
        let files = listed.files.iter().map(|(path, _)| path);
        // Below the root lie the other runs too.
        let of_run = |path: &String| {
            run_of(path).is_some_and(|(of, _)| of == 1)
                && is_signed_path(path)
                && PathKind::of(path) != PathKind::Stray
                && which(path)
        };
        schedule::run(self.jobs, files.filter(of_run), &|path, _| {
            if let Some(digest) = hash(folder, &path, self.tally) {
                lock(&digests).insert(path, digest);
            }
            interrupt::check()
        })?;
        Ok(unlocked(digests))
    }

    /// The files in the volumes of a run that are without a fault and as the sums list them; and whether all volumes are that they list.
    fn whole_volumes(&self, run: &Run) -> Result<(Digests, bool), Failure> {
        let (mut whole, mut all) = (Digests::new(), true);
        for (path, due) in self.sums.iter().flatten() {
            let Some((_, within)) = run_of(path).filter(|(of, _)| *of == run.number) else {
                continue;
            };
            let Some(number) = number_of(within, ".tar") else {
                continue;
            };
            let read = run
                .own
                .open(within)
                .and_then(|file| WholeVolume::read(file, number, &mut |n| self.tally.add(0, n)));
            interrupt::check()?;
            match read {
                Ok(Some(volume)) if volume.sum.sha256 == *due => {
                    let members = volume.members.into_iter();
                    whole.extend(members.map(|member| (member.path, member.sha256)));
                }
                _ => all = false,
            }
        }
        Ok((whole, all))
    }
}

/// Whether these are the files that were signed.
fn fits(run: &Run, digests: &Digests) -> bool {
    let mut all = FilesDigest::default();
    let pushed = digests
        .iter()
        .all(|(path, digest)| all.push(path, &hex(digest)).is_ok());
    pushed && all.finish() == run.head.statement.files
}

/// What the sums in a folder list of a run, if that was signed: those of somebody else may list anything, and are read twice rather than kept.
fn listed(run: &Run, folder: &Folder) -> Option<Digests> {
    let lines = || {
        let of_run = |line: decryptor_wasm::Result<SumLine>| {
            let line = line.ok()?;
            let (_, within) = run_of(&line.path).filter(|(of, _)| *of == run.number)?;
            is_signed_path(within).then(|| (within.to_owned(), line.sha256))
        };
        Some(folder.sums().ok()?.filter_map(of_run))
    };
    let mut all = FilesDigest::default();
    for (path, sha256) in lines()? {
        all.push(&path, &sha256).ok()?;
    }
    if all.finish() != run.head.statement.files {
        return None;
    }
    let digests = lines()?.map(|(path, sha256)| Some((path, unhex(&sha256)?)));
    digests
        .collect::<Option<Digests>>()
        .filter(|digests| fits(run, digests))
}

/// Those lines of sums that are of the files of a run which are signed.
fn of_run(run: u32, sums: &BTreeMap<String, String>) -> Digests {
    let of_run = |(path, sha256): (&String, &String)| {
        let (_, within) = run_of(path).filter(|(of, _)| *of == run)?;
        let digest = is_signed_path(within).then(|| unhex(sha256))??;
        Some((within.to_owned(), digest))
    };
    sums.iter().filter_map(of_run).collect()
}
