//! Runs into one folder. The first is full; incremental ones bring what has changed since, and lie beside it.

mod keep;
mod own;
mod preconditions;

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use decryptor_wasm::{
    BackupType,
    chain::{ChainKey, Link, number},
    manifest::Companion,
};

use self::keep::Noted;
pub use self::preconditions::refuse;
use super::{
    ChainReport, Prepared, Report, ReportedLosses, Written,
    changes::{Changes, SharedChanges, shared_number, user_number},
    collect::Collector,
    defect, jobs,
};
use crate::{
    archive::{ArchiveWriter, ChainFolder, Finished, Leftover, read::Folder},
    failure::Failure,
    observer::Level,
    platform::{ExportError, Mark, PlatformMode, Shared},
    random::SystemRandom,
    state::{Memory, State, StateFolder, StateHeader},
};
use decryptor_wasm::RandomSource;

/// Outcome of one attempt.
enum Attempt {
    Done(Box<(Finished, ReportedLosses, Vec<String>)>),
    /// The changes could not be told from what was known.
    Misfit(String),
}

/// Data that the attempts of a run share.
struct Run<'p> {
    prepared: &'p Prepared<'p>,
    chain: ChainFolder,
    /// Where this host remembers what the run held; otherwise why it does not: then only a run by itself goes on.
    place: Result<StateFolder, String>,
    /// Whether another run has to find what this one held.
    needed: bool,
    memory: Memory,
    mark: Mark,
    /// Files that travel at the root of the chain.
    companions: Vec<Companion>,
}

/// Makes a full backup by itself. Where what it held can be remembered, a run with `--incremental` can follow it.
pub fn alone(prepared: &Prepared<'_>) -> Result<Report, Failure> {
    let folder = prepared.home.folder.clone();
    let state = folder.as_deref().ok();
    let (chain, leftover) = ChainFolder::alone(&prepared.output, state)?;
    prepared.tell_of_leftover(leftover);
    let place = folder.clone().and_then(StateFolder::open);
    let mark = prepared.platform.mark().map_err(|e| e.to_string());
    let streams = prepared.options.output.stream().is_some();
    let (place, mark) = match (place, mark) {
        _ if streams => (Err("a stream".to_owned()), Mark::default()),
        (Ok(place), Ok(mark)) => (Ok(place), mark),
        (Err(why), _) | (_, Err(why)) => (Err(why), Mark::default()),
    };
    let mut run = Run {
        prepared,
        memory: Memory::new(&folder.unwrap_or_default()),
        place,
        needed: false,
        mark,
        chain,
        companions: Vec::new(),
    };
    let (finished, told, _) = match run.attempt(None)? {
        Attempt::Done(done) => *done,
        Attempt::Misfit(what) => return Err(Failure::failed(what)),
    };
    let signing = &prepared.options.signing;
    prepared.home.warn(signing, prepared.observer);
    if !streams {
        run.warn();
    }
    run.remember(&finished);
    let verified = prepared.verified(Folder::at(&prepared.output)?, &finished)?;
    Ok(Report {
        verified,
        ..prepared.report(told, &finished)
    })
}

/// Adds a run to the chain, or begins one.
pub fn run(prepared: &Prepared<'_>) -> Result<Report, Failure> {
    let state_dir = preconditions::state_dir(prepared)?;
    let newest = preconditions::newest(prepared, &state_dir)?;
    let (chain, leftover) =
        ChainFolder::open(&prepared.output, newest.as_deref(), Some(&state_dir))?;
    prepared.tell_of_leftover(leftover);
    preconditions::refuse_mixture(&prepared.output, &prepared.sealing, &chain.runs)?;
    let proof = own::prove(prepared, &chain)?;
    for run in &proof.strangers {
        let text = format!(
            "{}: run {run} is signed neither by this host nor by a signer who is expected: nothing is built on it",
            prepared.output
        );
        prepared.observer.tell_minor(Level::Warning, &text);
    }
    let mut run = Run {
        prepared,
        memory: Memory::new(&state_dir),
        place: Ok(StateFolder::open(state_dir).map_err(Failure::failed)?),
        needed: true,
        mark: prepared.platform.mark()?,
        chain,
        companions: proof.companions,
    };
    let rolled_back = run.rolled_back()?;
    let newest = run.chain.newest().cloned();
    let (mut state, mut why) = (None, rolled_back.clone());
    if let Some(newest) = &newest {
        let foreign = proof.foreign.map(|foreign| run.foreign(foreign));
        why = why.or(foreign.transpose()?);
        run.chain.check_newest(jobs(prepared.options))?;
        if why.is_none() {
            match run.known(newest)? {
                Ok(known) => state = Some(known),
                Err(what) => why = Some(what),
            }
        } else {
            preconditions::refuse_narrower(prepared, &run.chain)?;
        }
    }
    let (finished, told, removed) = loop {
        match run.attempt(state.as_ref())? {
            Attempt::Done(done) => break *done,
            Attempt::Misfit(what) => (state, why) = (None, Some(what)),
        }
        let why = why.as_deref().unwrap_or_default();
        let text = format!("a full run is needed: {why}");
        prepared.observer.tell_minor(Level::Info, &text);
    };
    run.remember(&finished);
    let made = run.chain.newest().cloned();
    let verified = match &made {
        Some(made) => prepared.verified(run.chain.run(made), &finished)?,
        None => None,
    };
    Ok(Report {
        verified,
        chain: made.map(|made| ChainReport {
            run: made.run,
            kind: made.kind,
            why_full: why.filter(|_| made.run > 1),
            path: made.path,
            parent: made.parent,
            removed_users: removed,
            rolled_back,
        }),
        ..prepared.report(told, &finished)
    })
}

impl Run<'_> {
    /// The id of the first run, which is this one when there is none.
    fn base<'r>(&'r self, this: &'r str) -> &'r str {
        let first = self.chain.runs.first();
        first.map_or(this, |first| &first.archive_id)
    }

    /// The only user of the chain, as a number.
    fn only(&self, key: &ChainKey) -> Option<String> {
        let user = self.prepared.users.first();
        let user = user.filter(|_| self.prepared.options.user.is_some())?;
        Some(format!("{:016x}", number(key, "only", &[&user.user_id])))
    }

    /// Options and settings that the run depends on, each with a name for people.
    fn covers(&self) -> Vec<(String, String)> {
        let prepared = self.prepared;
        let engines = prepared.config.engines();
        let told: Vec<&str> = self.mark.told.iter().map(|c| c.name()).collect();
        let transactions = self.mark.transaction.is_some();
        let of = |name: &str, value: String| (name.to_owned(), value);
        vec![
            of(
                "the storage engines",
                [
                    engines.base,
                    engines.audit,
                    engines.series,
                    engines.file,
                    engines.platform,
                ]
                .join(" "),
            ),
            of(
                "how much of the platform's own database is backed up",
                prepared.mode.name().to_owned(),
            ),
            of(
                "whether sessions and password resets are backed up",
                prepared.options.include_ephemeral.to_string(),
            ),
            of(
                "the database server, the database or its tables",
                self.mark.store.clone(),
            ),
            of(
                "how changes are found",
                format!("{transactions} {}", told.join(" ")),
            ),
        ]
    }

    /// Writes the run, as an increment if there is a state to compare with.
    fn attempt(&mut self, state: Option<&State>) -> Result<Attempt, Failure> {
        let prepared = self.prepared;
        let key = match state {
            Some(state) => state.header.key.clone(),
            None => {
                let mut bytes = [0; 16];
                SystemRandom.fill(&mut bytes)?;
                ChainKey::from_bytes(bytes)
            }
        };
        let removed = match state.map(|state| self.removed(state, &key)).transpose()? {
            Some(Err(what)) => return Ok(Attempt::Misfit(what)),
            Some(Ok(removed)) => removed,
            None => Vec::new(),
        };
        let (destination, leftover) = self.chain.destination()?;
        prepared.tell_of_leftover(match leftover {
            true => Leftover::Removed,
            false => Leftover::None,
        });
        let archive = ArchiveWriter::create_in(
            destination,
            &prepared.sealing,
            prepared.writing(match state {
                Some(_) => BackupType::Incremental,
                None => BackupType::Full,
            }),
            prepared.platform.instant()?,
        )?;
        let writing = AssertUnwindSafe(|| self.write(&archive, &key, state));
        let written = catch_unwind(writing).unwrap_or_else(|_| Err((defect(), None)));
        let (written, noted) = match written {
            Ok(written) => written,
            Err((failure, misfit)) => {
                archive.abandon();
                Failure::unless_interrupted()?;
                return misfit.map(Attempt::Misfit).ok_or(failure);
            }
        };
        self.commit(archive, written, noted, &key, removed)
    }

    /// Everything that goes into the archive and into the state.
    fn write(
        &self,
        archive: &ArchiveWriter,
        key: &ChainKey,
        state: Option<&State>,
    ) -> Result<(Written, Noted), (Failure, Option<String>)> {
        let prepared = self.prepared;
        let named = prepared.options.name_users.then_some(prepared.observer);
        let collector = Collector::new(archive, &prepared.users, named)
            .map_err(|error| (error.into(), None))?;
        let folder = self.place.as_ref().map(StateFolder::folder);
        let folder = folder.map_err(String::as_str);
        let changes = Changes::new(&collector, key, state, &self.mark, folder, self.needed)
            .map_err(|e| (ExportError::Sink(e).into(), None))?;
        let shared = self.write_shared(&changes);
        let shared = shared.and_then(|shared| {
            let unknown = prepared.write_users(&changes, archive)?;
            Ok((shared, unknown))
        });
        let (shared, unknown) = shared.map_err(|failure| (failure, changes.misfit()))?;
        let noted = changes.into_state();
        let written = Written {
            users: collector.finish(),
            shared,
            unknown,
            capsule: None,
        };
        Ok((written, noted))
    }

    fn write_shared(&self, changes: &Changes<'_>) -> Result<crate::archive::IndexDone, Failure> {
        let sink = |error| Failure::from(ExportError::Sink(error));
        let scope = self.prepared.scope();
        let mut index = SharedChanges::new(changes).map_err(sink)?;
        if scope.mode != PlatformMode::None {
            index.begin(Shared::Index)?;
        }
        let platform = &self.prepared.platform;
        platform
            .export_platform(&scope, &mut index)
            .map_err(Failure::from)?;
        index.finish().map_err(sink)
    }

    fn commit(
        &mut self,
        mut archive: ArchiveWriter,
        mut written: Written,
        noted: Noted,
        key: &ChainKey,
        removed: Vec<String>,
    ) -> Result<Attempt, Failure> {
        let backup_type = archive.backup_type();
        let added = archive
            .add_index(&mut written.shared)
            .map_err(Failure::from);
        match added.and_then(|()| self.prepared.write_capsule(&mut archive)) {
            Ok(capsule) => written.capsule = capsule,
            Err(failure) => {
                archive.abandon();
                Failure::unless_interrupted()?;
                return Err(failure);
            }
        }
        let link = self.chain.newest().map(|newest| Link {
            run: self.chain.next(),
            parent: newest.archive_id.clone(),
            base: self.base("").to_owned(),
            key: key.clone(),
        });
        let companions = link.as_ref().map(|_| self.companions.clone());
        let companions = companions.unwrap_or_default();
        let (users, mut summary, told) = self.prepared.sum_up(written, link, companions);
        summary.removed_users = removed.clone();
        let staged = archive.complete(users, summary)?;
        let id = staged.finished().id.clone();
        let base = self.base(&id).to_owned();
        let header = StateHeader {
            user: self.only(key),
            covers: self.covers(),
            transaction: self.mark.transaction,
            ..StateHeader::new(&base, &id, self.prepared.home.key.signer().as_str(), key)
        };
        if let Err(error) = self.propose(noted, &header) {
            staged.abandon();
            return Err(error);
        }
        if let Err(failure) = Failure::unless_interrupted() {
            staged.abandon();
            return Err(failure);
        }
        let finished = self.chain.commit(staged, backup_type)?;
        self.commit_state(&base);
        Ok(Attempt::Done(Box::new((finished, told, removed))))
    }

    /// The ids of the users who are no more: this host remembers numbers only, but each had a folder in a run before.
    fn removed(
        &self,
        state: &State,
        key: &ChainKey,
    ) -> Result<Result<Vec<String>, String>, Failure> {
        let users = self.prepared.users.iter();
        let mut gone: HashSet<u64> = state.users().collect();
        gone.remove(&shared_number(key));
        for user in users {
            gone.remove(&user_number(key, &user.user_id));
        }
        let mut removed = Vec::new();
        for run in self.chain.runs.iter().rev() {
            if gone.is_empty() {
                break;
            }
            for id in self.chain.run(run).users()? {
                if gone.remove(&user_number(key, &id)) {
                    removed.push(id);
                }
            }
        }
        removed.sort();
        Ok(if gone.is_empty() {
            Ok(removed)
        } else {
            Err("a user is gone whom no run before has a folder of".to_owned())
        })
    }
}
