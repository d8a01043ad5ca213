//! Volumes: one in which something is wrong is written anew of its files.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::Arc,
};

use decryptor_wasm::{
    layout::{PathKind, number_of, volume_name},
    volume::{VOLUMES, Volume, VolumeList},
};

use super::{
    Repair, Run,
    due::{Due, hash},
    path_of,
};
use crate::{
    archive::{
        ArchiveError,
        read::{Folder, WholeVolume},
        sums::SumLine,
        write::{Volumes, is_first_volume},
    },
    digest::sha256_hex,
    failure::Failure,
    interrupt,
    limits::PIECE,
};

/// The volumes of a run as they were found.
#[derive(Default)]
struct Found {
    /// Without a fault, by their numbers.
    good: BTreeMap<u32, (Volume, SumLine)>,
    /// The files in them.
    covered: BTreeSet<String>,
    /// Those in which something is wrong, with the files that are to be in each, in their order.
    bad: BTreeMap<u32, Vec<String>>,
    /// Of those that were written anew: in these a file is still damaged.
    incomplete: BTreeSet<u32>,
}

impl Repair<'_> {
    /// Replaces the volumes of a run in which something is wrong.
    pub(super) fn volumes(
        &self,
        run: &Run,
        due: &Due,
        sums: &mut BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let mut found = self.look(run, due)?;
        self.assign(run, due, &mut found)?;
        let mut all = true;
        for (number, paths) in std::mem::take(&mut found.bad) {
            if let Some((volume, sum, complete)) = self.volume(run, due, number, &paths)? {
                found.good.insert(number, (volume, sum));
                if !complete {
                    found.incomplete.insert(number);
                }
            } else {
                all = false;
            }
        }
        for (number, (_, sum)) in &found.good {
            if found.incomplete.contains(number) {
                // The line stays that is true of a whole one.
                continue;
            }
            sums.insert(path_of(run.number, &sum.path), sum.sha256.clone());
        }
        let first = found.good.keys().next().copied().unwrap_or(0);
        let follow = (first..)
            .zip(found.good.keys())
            .all(|(due, number)| due == *number);
        let is_first = match self.by_run {
            true => is_first_volume(first),
            false => first == 1,
        };
        if !(all && follow && is_first) {
            return Ok(());
        }
        let volumes = found.good.into_values().map(|(volume, _)| volume);
        let list = VolumeList::new(volumes.collect()).to_json()?;
        let path = path_of(run.number, VOLUMES);
        sums.insert(path.clone(), sha256_hex(&list));
        let own = run.own.has(VOLUMES).then(|| run.own.read(VOLUMES).ok());
        if own.flatten().as_ref() != Some(&list) {
            let line = format!("{path}: written anew for the volumes that are there");
            self.changes.write(&list, &path, line)?;
        }
        Ok(())
    }

    /// Reads all volumes.
    fn look(&self, run: &Run, due: &Due) -> Result<Found, Failure> {
        let mut found = Found::default();
        for number in self.numbers(run) {
            let name = volume_name(number);
            let whole = match run.own.open(&name) {
                Ok(file) => WholeVolume::read(file, number, &mut |n| self.tally.add(0, n)),
                Err(_) => Ok(None),
            };
            interrupt::check()?;
            // One that the disk does not give is as good as none.
            let whole = whole.ok().flatten().filter(|whole| {
                let mut members = whole.members.iter();
                members.all(|member| {
                    due.digests.get(&member.path) == Some(&member.sha256)
                        && !PathKind::of(&member.path).is_separate()
                        && !found.covered.contains(&member.path)
                })
            });
            match whole {
                Some(whole) => {
                    let members = whole.members.into_iter();
                    found.covered.extend(members.map(|member| member.path));
                    found.good.insert(number, (whole.volume, whole.sum));
                }
                None => drop(found.bad.insert(number, Vec::new())),
            }
        }
        Ok(found)
    }

    /// The numbers of the volumes that there are, or that were listed. In a store, those that are not listed are of attempts at a run that
    /// were not finished.
    fn numbers(&self, run: &Run) -> BTreeSet<u32> {
        let folder = path_of(run.number, "");
        let number = |path: &String| number_of(path.strip_prefix(&folder)?, ".tar");
        let sums = self.sums.iter().flat_map(BTreeMap::keys);
        let mut numbers: BTreeSet<u32> = sums.filter_map(number).collect();
        let list = run.own.has(VOLUMES).then(|| run.own.read(VOLUMES).ok());
        let list = list
            .flatten()
            .and_then(|json| VolumeList::parse(&json).ok());
        let listed = list.map_or(Vec::new(), |list| list.volumes);
        numbers.extend(
            listed
                .iter()
                .filter_map(|volume| number_of(&volume.name, ".tar")),
        );
        if !self.by_run || numbers.is_empty() {
            numbers.extend(self.listing.keys().filter_map(number));
        }
        numbers
    }

    /// Says which files are to be in the volumes that are written anew: those that were there, and those that are nowhere in the last one.
    fn assign(&self, run: &Run, due: &Due, found: &mut Found) -> Result<(), Failure> {
        let mut places: BTreeMap<u32, Vec<(u64, String)>> = BTreeMap::new();
        let mut nowhere = Vec::new();
        // Headers tell where files are; of a header that is damaged the index does.
        let mut at: BTreeMap<&str, (u32, u64)> = BTreeMap::new();
        for scan in [false, true] {
            run.own.list(scan)?;
            for path in due.digests.keys() {
                let in_volume = |(volume, offset): (String, u64)| {
                    let number = number_of(&volume, ".tar")?;
                    found.bad.contains_key(&number).then_some((number, offset))
                };
                if let Some(place) = run.own.place(path)?.and_then(in_volume) {
                    at.insert(path, place);
                }
            }
        }
        for path in due.digests.keys() {
            if PathKind::of(path).is_separate() || found.covered.contains(path) {
                continue;
            }
            match at.get(path.as_str()) {
                Some((number, offset)) => {
                    let of_volume = places.entry(*number).or_default();
                    of_volume.push((*offset, path.clone()));
                }
                None => nowhere.push(path.clone()),
            }
        }
        let empty = |number: &&u32| !places.contains_key(*number);
        let lost: Vec<u32> = found.bad.keys().filter(empty).copied().collect();
        for (number, mut paths) in places {
            paths.sort();
            let paths = paths.into_iter().map(|(_, path)| path);
            found.bad.insert(number, paths.collect());
        }
        let last = found.bad.keys().next_back().copied();
        let targets = match (lost.is_empty(), last) {
            (false, _) => lost,
            (true, Some(last)) => vec![last],
            (true, None) => vec![found.good.keys().next_back().map_or(1, |last| last + 1)],
        };
        let share = nowhere.len().div_ceil(targets.len().max(1)).max(1);
        for (number, paths) in targets.iter().zip(nowhere.chunks(share)) {
            found
                .bad
                .entry(*number)
                .or_default()
                .extend_from_slice(paths);
        }
        Ok(())
    }

    /// Writes a volume anew, and says whether no file in it is damaged any more; none where that would not make it better.
    fn volume(
        &self,
        run: &Run,
        due: &Due,
        number: u32,
        paths: &[String],
    ) -> Result<Option<(Volume, SumLine, bool)>, Failure> {
        let name = volume_name(number);
        let full = path_of(run.number, &name);
        let aside = self.changes.aside()?;
        let volumes = Arc::new(Volumes::one(&aside, number));
        let (mut lines, mut complete) = (Vec::new(), true);
        for path in paths {
            let digest = due.digests.get(path).copied();
            let good = |folder: &Folder| hash(folder, path, self.tally) == digest;
            let from = if good(&run.own) {
                Some(&run.own)
            } else if good(&run.other) {
                lines.push(format!(
                    "{}: replaced by that of {} (in {name})",
                    path_of(run.number, path),
                    self.name
                ));
                Some(&run.other)
            } else {
                self.leave(format!(
                    "{}: {} has no good one either",
                    path_of(run.number, path),
                    self.name
                ));
                complete = false;
                // What is left of it stays.
                run.own
                    .find(path)
                    .is_ok_and(|found| found.is_some())
                    .then_some(&run.own)
            };
            if let Some(from) = from {
                member(&volumes, from, path)?;
            }
        }
        interrupt::check()?;
        if !complete && lines.is_empty() {
            return Ok(None);
        }
        volumes.end()?;
        let made = WholeVolume::read(Folder::new(&aside).open(&name)?, number, &mut |_| {})?;
        let fits = made.as_ref().is_some_and(|made| {
            let fits = |path: &str, sha256: &[u8; 32]| due.digests.get(path) == Some(sha256);
            !complete
                || made
                    .members
                    .iter()
                    .all(|member| fits(&member.path, &member.sha256))
        });
        let Some(made) = made.filter(|_| fits) else {
            return Err(Failure::failed(format!(
                "{full}: a file changed while it was read; nothing was replaced, do it again"
            )));
        };
        if lines.is_empty() {
            lines.push(format!("{full}: written anew of its files"));
        }
        self.changes.take(aside.join(&name), &full, lines);
        Ok(Some((made.volume, made.sum, complete)))
    }
}

/// Writes a file into a volume.
fn member(volumes: &Arc<Volumes>, from: &Folder, path: &str) -> Result<(), Failure> {
    let mut file = from.open(path)?;
    let mut member = volumes.member(path);
    let mut piece = vec![0; PIECE];
    loop {
        interrupt::check()?;
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => member.write(&piece[..n])?,
            // The rest of what is left of it.
            Err(e) => return Err(ArchiveError::io(&from.path().join(path), e).into()),
        }
    }
    Ok(member.finish()?)
}
