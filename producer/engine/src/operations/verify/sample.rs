//! A sample: a part of the files, another one each time, until all were read.

use std::collections::BTreeSet;

use decryptor_wasm::{FileList, chain::run_of, layout::PathKind};
use serde::Serialize;

use crate::{
    failure::Failure,
    opening::ArchiveOptions,
    state::{self, SampleMemory, Samples},
    storage::Location,
};

/// What a file costs beside its bytes.
const EACH: u64 = 512;
/// So many files that were damaged are read again each time.
const AGAIN: usize = 1000;
/// All of it, in hundredths of a percent.
pub const WHOLE: u32 = 10_000;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSize {
    /// So many hundredths of a percent.
    Part(u32),
    /// So many bytes.
    Bytes(u64),
}

/// What was read of a backup.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampled {
    /// How many files it has; without the key a volume is one.
    pub of_files: u64,
    /// How many of them were read.
    pub files: u64,
    /// How much of the whole that is, in percent.
    pub percent: f64,
    /// How much of the whole the last samples have read together, this one among them.
    pub percent_of_last: f64,
    /// How many samples these are.
    pub last: usize,
}

/// The files of a sample.
pub(super) struct Sample {
    samples: Samples,
    place: String,
    memory: SampleMemory,
    chosen: BTreeSet<String>,
    sampled: Sampled,
}

impl Sample {
    /// Chooses among `files`, with their sizes and in the order of their paths, those that come after the last sample.
    pub fn choose(
        opening: &ArchiveOptions,
        size: SampleSize,
        archive_id: &str,
        opened: bool,
        files: &FileList,
    ) -> Result<Self, Failure> {
        let nowhere = |e: &dyn std::fmt::Display| {
            Failure::usage(format!(
                "a sample reads other files each time, and there is no place to remember which: {e}"
            ))
        };
        let state = opening.expect.trust.state_dir.as_deref();
        let state = state::folder(state).map_err(|e| nowhere(&e))?;
        let samples = Samples::open(&state)
            .map_err(|e| nowhere(&format_args!("{}: {e}", state.display())))?;
        let place = match &opening.dir {
            Location::Folder(folder) => {
                let real = folder.canonicalize();
                real.unwrap_or_else(|_| folder.clone())
                    .display()
                    .to_string()
            }
            Location::Store(address) => address.to_string(),
            Location::Stream(_) => {
                return Err(Failure::usage(
                    "a stream is read from its begin to its end: a sample of it would save nothing",
                ));
            }
        };
        let memory = samples.of(&place, archive_id, opened);
        let mut memory = memory.map_err(|e| nowhere(&format_args!("{}: {e}", state.display())))?;
        let (mut chosen, sampled) = choose(files, size, &mut memory);
        let there = |path: &&String| files.has(path);
        chosen.extend(memory.damaged.iter().filter(there).cloned());
        Ok(Sample {
            samples,
            place,
            memory,
            chosen,
            sampled,
        })
    }

    /// The files that are read.
    pub fn paths(&self) -> &BTreeSet<String> {
        &self.chosen
    }

    /// Whether a file is read.
    pub fn has(&self, path: &str) -> bool {
        self.chosen.contains(path)
    }

    /// Takes note that they were read, and which of them are damaged.
    pub fn finish(mut self, mut damaged: Vec<String>) -> Result<Sampled, Failure> {
        damaged.retain(|path| self.chosen.contains(path));
        damaged.truncate(AGAIN);
        self.memory.damaged = damaged;
        let put = self.samples.put(&self.place, &self.memory);
        put.map_err(|e| {
            Failure::failed(format!("it was not noted which files were checked: {e}"))
        })?;
        Ok(self.sampled)
    }
}

/// The next files, and what share they are; `memory` is what it is after them.
fn choose(
    files: &FileList,
    size: SampleSize,
    memory: &mut SampleMemory,
) -> (BTreeSet<String>, Sampled) {
    let cost = |(_, size): &(String, u64)| size + EACH;
    let whole: u64 = files.iter().map(|file| cost(&file)).sum();
    let due = match size {
        SampleSize::Part(part) => {
            let part = u128::from(whole) * u128::from(part);
            u64::try_from(part.div_ceil(u128::from(WHOLE))).unwrap_or(u64::MAX)
        }
        SampleSize::Bytes(bytes) => bytes,
    };
    let begin = files.first_from(&memory.next) % files.len().max(1);
    let (mut chosen, mut read, mut at) = (BTreeSet::new(), 0, begin);
    while chosen.len() < files.len() && read < due {
        let Some(file) = files.get(at) else { break };
        read += cost(&file);
        chosen.insert(file.0);
        at = (at + 1) % files.len();
    }
    memory.next = files.get(at).map(|(path, _)| path).unwrap_or_default();
    memory.parts.push(read);
    let mut all: u64 = memory.parts.iter().sum();
    while memory.parts.len() > 1 && all - memory.parts[0] >= whole {
        all -= memory.parts.remove(0);
    }
    let percent = |part: u64| match part >= whole {
        true => 100.0,
        // Less than all is never shown as all.
        false => (part as f64 * 1000.0 / whole as f64).floor() / 10.0,
    };
    let sampled = Sampled {
        of_files: files.len() as u64,
        files: chosen.len() as u64,
        percent: percent(read),
        percent_of_last: percent(all),
        last: memory.parts.len(),
    };
    (chosen, sampled)
}

/// Whether a file of an open archive may be in a sample: manifests are read in any case.
pub(super) fn is_content(path: &str) -> bool {
    let kind = run_of(path).map_or(PathKind::Stray, |(_, within)| PathKind::of(within));
    kind == PathKind::Companion
        || !(kind.is_separate() || matches!(kind, PathKind::Stray | PathKind::UserManifest { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(folder: &std::path::Path) -> SampleMemory {
        let samples = Samples::open(folder).unwrap();
        samples.of("place", "id", true).unwrap()
    }

    #[test]
    fn ten_samples_of_a_tenth_are_all() {
        let folder = tempfile::tempdir().unwrap();
        for (count, size) in [(1, 7), (3, 0), (10, 1 << 40), (11, 5), (1234, 99)] {
            let files: FileList = (0..count)
                .map(|n| (format!("users/{n:05}"), size * (n % 5)))
                .collect();
            let mut memory = memory(folder.path());
            let (mut seen, mut last) = (BTreeSet::new(), 0.0);
            for _ in 0..10 {
                let (chosen, sampled) = choose(&files, SampleSize::Part(1000), &mut memory);
                assert!(!chosen.is_empty());
                seen.extend(chosen);
                assert!(sampled.percent_of_last >= last);
                last = sampled.percent_of_last;
            }
            assert_eq!(seen.len() as u64, count, "{size}");
            assert!(last >= 100.0 && memory.parts.len() <= 10);
        }
    }

    #[test]
    fn a_sample_goes_on_where_the_last_one_ended() {
        let folder = tempfile::tempdir().unwrap();
        let files: FileList = (0..10).map(|n| (format!("{n}"), 512)).collect();
        let mut known = memory(folder.path());
        let mut next = |size| {
            let (chosen, sampled) = choose(&files, size, &mut known);
            (chosen.into_iter().collect::<String>(), sampled)
        };
        assert_eq!(next(SampleSize::Bytes(1)).0, "0");
        assert_eq!(next(SampleSize::Bytes(1025)).0, "12");
        assert_eq!(next(SampleSize::Part(5000)).0, "34567");
        let (chosen, sampled) = next(SampleSize::Part(2500));
        assert_eq!(chosen, "089");
        assert_eq!((sampled.percent_of_last, sampled.last), (100.0, 3));
        assert_eq!(next(SampleSize::Part(WHOLE)).0, "0123456789");
        let (_, sampled) = next(SampleSize::Part(1));
        assert_eq!((sampled.percent, sampled.last), (10.0, 2));
        assert!(
            choose(
                &FileList::default(),
                SampleSize::Part(1000),
                &mut memory(folder.path())
            )
            .0
            .is_empty()
        );
    }

    #[test]
    fn samples_of_another_backup_count_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let samples = Samples::open(folder.path()).unwrap();
        let mut known = memory(folder.path());
        known.next = "users/x".to_owned();
        known.parts = vec![7];
        samples.put("place", &known).unwrap();
        assert_eq!(samples.of("place", "id", true).unwrap(), known);
        for (place, id, opened) in [
            ("other", "id", true),
            ("place", "other", true),
            ("place", "id", false),
        ] {
            let none = samples.of(place, id, opened).unwrap();
            assert!(none.next.is_empty() && none.parts.is_empty());
        }
    }
}
