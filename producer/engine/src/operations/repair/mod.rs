//! `verify --repair-from`: files of an archive that are damaged or missing are replaced by those of a copy. A file is taken only where its
//! digest is the one that was signed, so that it does not matter who has the copy: the sealed inventory says the digests, or without the
//! key the lists of both sides, where they give the digest of all files that was signed.

mod changes;
mod due;
mod envelope;
mod head;
mod lists;
mod manifest;
mod volumes;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    DataKey, Envelope,
    chain::{CHAIN, Index, UNNAMED, run_of},
    layout::{MANIFEST, PathKind, RUN, number_of},
    signature::{Demands, SIGNATURE, is_signed_path},
};

use self::{changes::Changes, due::Due, head::Head};
use crate::{
    archive::{
        read::Folder,
        sums::{SUMS, SumLine, SumLines},
        write::STAGING,
    },
    digest::sha256_hex,
    failure::Failure,
    files, interrupt,
    observer::{Observer, Step},
    opening::ArchiveOptions,
    operations::hold::{self, Hold},
    progress::{Goal, Tally},
    schedule,
    storage::Location,
    threads::{lock, unlocked},
};

/// Opens an envelope; none where no secret was given.
pub(super) type Unlock<'u> = Option<&'u dyn Fn(&Envelope) -> decryptor_wasm::Result<DataKey>>;

/// What became of an archive.
#[derive(Debug, Default)]
pub struct Repaired {
    /// A line for each file that was replaced.
    pub replaced: Vec<String>,
    /// What could not be done, and why.
    pub left: Vec<String>,
}

/// An archive and its copy.
struct Repair<'r> {
    own: Folder,
    other: Folder,
    /// For people.
    name: String,
    demands: &'r Demands,
    expect_id: Option<&'r str>,
    /// The lines of the sums of the archive, as far as they can be read.
    sums: Option<BTreeMap<String, String>>,
    /// Every file of the archive.
    listing: BTreeMap<String, u64>,
    /// Whether each run has lists of its own, as in a store.
    by_run: bool,
    changes: Changes,
    left: Mutex<Vec<String>>,
    jobs: usize,
    tally: &'r Tally,
}

/// One run of both.
struct Run {
    number: u32,
    own: Folder,
    other: Folder,
    head: Head,
    /// `encryption.json` as it is to be.
    envelope: Option<Vec<u8>>,
}

/// Replaces what is damaged or missing in an archive by what `other` has of it.
///
/// # Errors
/// When one of the two cannot be looked at, or the disk refuses. What is there then is no worse than before.
pub fn run(
    opening: &ArchiveOptions,
    other: &Location,
    demands: &Demands,
    unlock: Unlock<'_>,
    jobs: usize,
    observer: &dyn Observer,
) -> Result<Repaired, Failure> {
    let (own, hold) = hold_own(opening, other)?;
    own.refuse_links()?;
    let copy = Folder::at(other)?;
    copy.require()?;
    copy.refuse_links()?;
    let listing: BTreeMap<String, u64> = own.list_stored()?.iter().collect();
    let tally = Arc::default();
    let goal = Goal::Bytes(listing.values().sum());
    let _shown = observer.working(Step::Check, &tally, goal);
    let runs_with = |name: &str| -> BTreeSet<u32> {
        let paths = listing.keys().filter_map(|path| run_of(path));
        let with = paths.filter(|(_, within)| *within == name);
        with.map(|(run, _)| run).collect()
    };
    let by_run = own.store().is_some() || !runs_with(RUN).is_empty();
    let with_sums = by_run.then(|| runs_with(SUMS));
    let mut repair = Repair {
        changes: match &hold {
            Hold::Folder { .. } => Changes::begin(&own, own.path().join(STAGING))?,
            Hold::Store(work) => Changes::begin(&own, work.aside())?,
        },
        by_run,
        listing,
        sums: lines(&own, with_sums.as_ref()),
        own,
        other: copy,
        name: other.to_string(),
        demands,
        expect_id: opening.expect.id.as_deref(),
        left: Mutex::default(),
        jobs,
        tally: &tally,
    };
    let _graceful = interrupt::finish_gracefully();
    let done = repair.all(unlock);
    Failure::unless_interrupted()?;
    done?;
    let mut left = unlocked(std::mem::take(&mut repair.left));
    left.sort();
    Ok(Repaired {
        replaced: repair.changes.commit()?,
        left,
    })
}

/// The archive that is repaired, and a hold on it.
fn hold_own(opening: &ArchiveOptions, other: &Location) -> Result<(Folder, Hold), Failure> {
    let dir = &opening.dir;
    let is_same = match (dir, other) {
        (Location::Folder(own), Location::Folder(other)) => files::is_same(own, other),
        (Location::Store(own), Location::Store(other)) => own == other,
        _ => false,
    };
    if is_same {
        return Err(Failure::usage(format!(
            "{other} is the backup itself: give another copy of it"
        )));
    }
    if dir.stream().is_some() || dir.folder().is_some_and(Path::is_file) {
        return Err(Failure::usage(format!(
            "{dir}: a single tar file cannot be repaired: give the folder of a backup"
        )));
    }
    let own = Folder::at(dir)?;
    let state = opening.expect.trust.state_dir.as_deref();
    let hold = hold::take(&own, state, || {
        Failure::usage(format!(
            "{dir}: nothing was changed: the bucket keeps versions, and readers take the oldest version of each object, so that none would read a newer one: copy {other} to a new prefix"
        ))
    })?;
    Ok((own, hold))
}

/// The lines of the sums; none where they cannot be read. `by_run`: the runs that have sums of their own.
fn lines(folder: &Folder, by_run: Option<&BTreeSet<u32>>) -> Option<BTreeMap<String, String>> {
    let Some(runs) = by_run else {
        return collect(folder.sums());
    };
    let mut all = None;
    for run in runs {
        let of_run = collect(folder.run(*run).own_sums());
        let of_run = of_run.map(|lines| lines.into_iter());
        let of_run = of_run.map(|lines| lines.map(|(path, sum)| (path_of(*run, &path), sum)));
        all.get_or_insert_with(BTreeMap::new)
            .extend(of_run.into_iter().flatten());
    }
    all
}

fn collect(lines: decryptor_wasm::Result<SumLines<'_>>) -> Option<BTreeMap<String, String>> {
    let line = |line: decryptor_wasm::Result<SumLine>| line.map(|line| (line.path, line.sha256));
    lines.ok()?.map(line).collect::<Result<_, _>>().ok()
}

impl Repair<'_> {
    fn all(&self, unlock: Unlock<'_>) -> Result<(), Failure> {
        let mut runs = Vec::new();
        let count = self.count();
        for number in 1..=count {
            let (own, other) = (self.own.run(number), self.other.run(number));
            if let Some(head) = self.head(number, &own, &other, unlock)? {
                runs.push(Run {
                    number,
                    own,
                    other,
                    head,
                    envelope: None,
                });
            }
        }
        let mut complete = runs.len() == count as usize;
        let mut sums = self.sums.clone().unwrap_or_default();
        for run in &mut runs {
            let (key, envelope) = self.envelope(run, unlock, &mut sums)?;
            run.envelope = envelope;
            let due = self.due(run, key.as_ref())?;
            complete &= due.as_ref().is_some_and(|due| due.complete);
            if let Some(due) = &due {
                self.files(run, due, &mut sums)?;
            }
            let head = &run.head;
            let mut list = |path, sum, anew| match anew {
                true => drop(sums.insert(path_of(run.number, path), sum)),
                false => drop(sums.entry(path_of(run.number, path)).or_insert(sum)),
            };
            let sure = head.proven || due.is_some();
            list(MANIFEST, head.statement.id.clone(), sure);
            // A signature that differs in its comment is not as it was.
            list(SIGNATURE, sha256_hex(&head.signature), head.replaced);
        }
        match self.by_run {
            true => self.write_lists_of_runs(&runs, complete, &sums),
            false => self.write_lists(&runs, complete, sums),
        }
    }

    /// How many runs there are, or were.
    fn count(&self) -> u32 {
        let listed = self.own.read(CHAIN).ok();
        let index = listed.and_then(|bytes| Index::parse(&bytes).ok());
        let index = index.map_or(1, |index| index.runs.len() as u32);
        let sums = self.sums.iter().flat_map(BTreeMap::keys);
        let paths = self.listing.keys().chain(sums);
        let runs: BTreeSet<u32> = paths
            .filter_map(|path| run_of(path))
            .filter(|(_, within)| *within == MANIFEST)
            .map(|(run, _)| run)
            .collect();
        // In a store, a run that was not finished has no signature.
        let unnamed = |run: &u32| match self.by_run {
            true => !self.own.run(*run).has(SIGNATURE) && !self.other.run(*run).has(SIGNATURE),
            false => self.listing.contains_key(&path_of(*run, UNNAMED)),
        };
        let (mut count, mut runs) = (index, runs.into_iter().filter(|run| !unnamed(run)));
        // Hostile numbers must not cost work.
        while let Some(run) = runs.find(|run| *run > count) {
            match run == count + 1 {
                true => count = run,
                false => break,
            }
        }
        count
            .min(self.listing.len() as u32 + self.sums.as_ref().map_or(0, |sums| sums.len() as u32))
    }

    /// Takes note of what could not be done.
    fn leave(&self, what: String) {
        lock(&self.left).push(what);
    }

    /// Replaces the files of a run; `sums` become those of the run as it is then.
    fn files(
        &self,
        run: &Run,
        due: &Due,
        sums: &mut BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let in_volumes = self.in_volumes(run.number);
        let separate = |path: &&String| !in_volumes || PathKind::of(path).is_separate();
        let paths = due.digests.iter().filter(|(path, _)| separate(path));
        schedule::run(self.jobs, paths, &|(path, digest), _| {
            if due::hash(&run.own, path, self.tally) == Some(*digest) {
                return Ok::<_, Failure>(());
            }
            let full = path_of(run.number, path);
            let line = format!("{full}: replaced by that of {}", self.name);
            if due::hash(&run.other, path, self.tally) == Some(*digest)
                && self.changes.copy(&run.other, path, digest, &full, line)?
            {
                return Ok(());
            }
            self.leave(format!("{full}: {} has no good one either", self.name));
            Ok(())
        })?;
        for (path, digest) in due.digests.iter().filter(|(path, _)| separate(path)) {
            sums.insert(path_of(run.number, path), crate::text::hex(digest));
        }
        if due.complete && !in_volumes {
            sums.retain(|path, _| match run_of(path) {
                Some((of, within)) if of == run.number => {
                    !is_signed_path(within) || due.digests.contains_key(within)
                }
                _ => true,
            });
        }
        match in_volumes {
            true => self.volumes(run, due, sums),
            false => Ok(()),
        }
    }

    /// Whether the files of a run lie, or lay, in volumes. Anybody can put a volume beside files, and volumes may have been unpacked.
    fn in_volumes(&self, run: u32) -> bool {
        let of_run = |path: &String| {
            let (_, within) = run_of(path).filter(|(of, _)| *of == run)?;
            Some((number_of(within, ".tar").is_some(), PathKind::of(within)))
        };
        let (mut there, mut separate) = (false, false);
        for (volume, kind) in self.listing.keys().filter_map(of_run) {
            there |= volume;
            separate |= !kind.is_separate() && kind != PathKind::Stray;
        }
        let sums = self.sums.iter().flat_map(BTreeMap::keys);
        let listed = sums.filter_map(of_run).any(|(volume, _)| volume);
        match (separate, listed) {
            (true, false) => false,
            (true, true) => there,
            (false, _) => there || listed,
        }
    }
}

/// The path of a file of a run from the root.
fn path_of(run: u32, within: &str) -> String {
    match Index::path(run) {
        root if root.is_empty() => within.to_owned(),
        folder => format!("{folder}/{within}"),
    }
}
