//! Whether the runs of a chain are those that this host signed, each after the one before it, with the files that were signed.

use std::collections::{BTreeMap, BTreeSet};

use decryptor_wasm::{
    BackupType, Envelope, Error,
    chain::{CHAIN, Index, IndexRun, is_companion, run_of},
    layout::{ENVELOPE, MANIFEST, PathKind, SUMS, VOLUMES},
    manifest::Companion,
    signature::{FilesDigest, SIGNATURE, Signer, Statement, Tried, try_signature, unproven},
    volume::VolumeList,
};

use super::{ArchiveError, ChainFolder};
use crate::archive::{
    envelopes, sha256_hex, sums::SumLine, verify_sums, write::companions::companions,
};

/// The host that is to add a run.
pub struct Host<'h> {
    /// Who signs that run.
    pub signer: &'h Signer,
    /// Others whom the operator expects.
    pub expected: &'h [Signer],
    /// The platform, or user of it, that the run is of.
    pub source: &'h str,
}

/// Facts about a chain that signatures prove.
#[derive(Debug, Default)]
pub struct Proof {
    /// The newest run is signed by somebody else, and is this one.
    pub foreign: Option<u32>,
    /// Runs that neither this host nor anybody who is expected has signed.
    pub strangers: Vec<u32>,
    /// Files that travel in the clear at the root.
    pub companions: Vec<Companion>,
}

impl ChainFolder {
    /// Holds the signatures of all runs against what lies there. Nothing is decrypted, and of the files only the lines of the sums are
    /// looked at.
    ///
    /// # Errors
    /// When a run is not as it was signed, is not signed, or is of another platform.
    pub fn prove(&self, host: &Host<'_>) -> Result<Proof, ArchiveError> {
        let mut statements = BTreeMap::new();
        let (mut newest_foreign, mut strangers) = (None, Vec::new());
        for (at, run) in self.runs.iter().enumerate() {
            match self.tried(run, host.signer)? {
                Tried::Holds(statement) => {
                    let before = at.checked_sub(1).map(|before| &self.runs[before]);
                    self.follows(run, before, &statement, host)?;
                    statements.insert(run.run, statement);
                }
                Tried::OtherSigner => {
                    newest_foreign = Some(run.run);
                    let mut known = false;
                    for signer in host.expected {
                        known |= matches!(self.tried(run, signer)?, Tried::Holds(_));
                    }
                    strangers.extend((!known).then_some(run.run));
                }
                Tried::Broken => {
                    return Err(self.wrong(
                        run.run,
                        &format!("is not the one that was signed: {SIGNATURE} does not hold"),
                    ));
                }
            }
        }
        // Nothing is built on runs of somebody else: own runs after them begin with a full one.
        let built = |run: &&u32| {
            let increment = statements
                .get(run)
                .is_some_and(|statement| statement.kind == BackupType::Incremental);
            increment && !statements.contains_key(&(*run - 1))
        };
        if let Some(run) = statements.keys().find(built) {
            return Err(self.wrong(*run, "follows a run that is signed by another key"));
        }
        if let (Some(first), false) = (self.runs.first(), statements.contains_key(&1)) {
            for signer in host.expected {
                if let Tried::Holds(statement) = self.tried(first, signer)? {
                    statements.insert(1, statement);
                }
            }
        }
        let companions = self.files_hold(&statements)?;
        if !statements.contains_key(&1) {
            self.known_companions(&companions)?;
        }
        Ok(Proof {
            foreign: newest_foreign.filter(|run| *run + 1 == self.next()),
            strangers,
            companions,
        })
    }

    fn tried(&self, run: &IndexRun, signer: &Signer) -> Result<Tried, ArchiveError> {
        let at = self.at().run(run.run);
        let Some(minisig) = at.small(SIGNATURE)? else {
            return Err(self.unsigned(run.run));
        };
        Ok(try_signature(signer, &at.read(MANIFEST)?, &minisig))
    }

    /// Whether a run says of itself what the list of runs says.
    fn follows(
        &self,
        run: &IndexRun,
        before: Option<&IndexRun>,
        statement: &Statement,
        host: &Host<'_>,
    ) -> Result<(), ArchiveError> {
        let base = self.runs.first().map(|first| &first.archive_id);
        let fits = statement.id == run.archive_id
            && Some(&statement.base) == base
            && statement.parent.as_ref() == before.map(|before| &before.archive_id)
            && statement.run == run.run
            && statement.kind == run.kind
            && statement.created == run.created_at;
        if !fits {
            return Err(self.wrong(
                run.run,
                "was signed as another one than the list of runs says",
            ));
        }
        if statement.source != host.source {
            return Err(ArchiveError::OtherSource(self.folder.clone()));
        }
        Ok(())
    }

    /// Whether the lines of the sums are those of the files that were signed; what they say of what travels at the root.
    fn files_hold(
        &self,
        statements: &BTreeMap<u32, Statement>,
    ) -> Result<Vec<Companion>, ArchiveError> {
        let mut digests: BTreeMap<u32, FilesDigest> = BTreeMap::new();
        // Of volumes, the sums do not list the files; those of the newest run are read later.
        let mut with_volumes = BTreeSet::new();
        let (mut companions, mut locks) = (Vec::new(), BTreeMap::new());
        for line in self.at().sums()? {
            let line = line?;
            let Some((run, within)) = run_of(&line.path) else {
                return Err(Error::damaged(format!(
                    "{:?} is of no run; it was changed: nothing was added to this chain",
                    line.path
                ))
                .at(SUMS)
                .into());
            };
            if line.path == CHAIN {
                continue;
            }
            digests.entry(run).or_default().push(within, &line.sha256)?;
            if PathKind::of(within) == PathKind::Volume {
                with_volumes.insert(run);
                // Unpacked volumes have left their indexes.
                let unpacked = line.path.replace(".tar", ".index");
                if !self.at().has(&line.path) && !self.at().has(&unpacked) {
                    return Err(self.wrong(run, &format!("lacks {}", line.path)));
                }
            }
            if within == ENVELOPE {
                locks.insert(run, line.sha256.clone());
            }
            if run == 1 && is_companion(within) {
                companions.push(Companion {
                    path: line.path,
                    sha256: line.sha256,
                });
            }
        }
        for (run, statement) in statements {
            let found = digests.remove(run).unwrap_or_default().finish();
            if found != statement.files && !with_volumes.contains(run) {
                return Err(self.wrong(
                    *run,
                    &format!("was signed with other files than those that {SUMS} lists"),
                ));
            }
        }
        for run in self.runs.iter().map(|run| run.run) {
            let created = statements.get(&run).map(|statement| statement.created);
            // A change of recipients that was interrupted leaves the line out.
            let listed = locks.get(&run).map(String::as_str);
            envelopes::check(&self.at().run(run), created, listed)
                .map_err(|error| self.wrong(run, &format!("cannot be opened: {error}")))?;
        }
        Ok(companions)
    }

    /// Nothing proves what travels at the root of a chain that somebody else began: it has to be what this version would put there.
    fn known_companions(&self, found: &[Companion]) -> Result<(), ArchiveError> {
        if !self.at().has(ENVELOPE) {
            return Ok(());
        }
        let envelope = Envelope::parse(&self.at().read(ENVELOPE)?)?;
        let due = companions(&envelope);
        let known = |file: &Companion| {
            let mut due = due.iter();
            due.any(|(name, text)| *name == file.path && sha256_hex(text.as_bytes()) == file.sha256)
        };
        if found.len() == due.len() && found.iter().all(known) {
            return Ok(());
        }
        Err(ArchiveError::UnknownCompanions(self.folder.clone()))
    }

    pub(super) fn unsigned(&self, run: u32) -> ArchiveError {
        Error::damaged(format!(
            "run {run} in {} is not signed: it was made before backups were signed, or its signature was removed; nothing was added to this chain: begin a new one in a new folder",
            self.folder.display()
        ))
        .into()
    }

    fn wrong(&self, run: u32, what: &str) -> ArchiveError {
        Error::damaged(format!(
            "run {run} in {} {what}; nothing was added to this chain: use another copy of it, or begin a new one",
            self.folder.display()
        ))
        .into()
    }

    /// Reads the files of the newest run, so that nothing is built on a broken one. That needs no key.
    ///
    /// # Errors
    /// When one is not what the sums list.
    pub fn check_newest(&self, jobs: usize) -> Result<(), ArchiveError> {
        let Some(newest) = self.newest().map(|newest| newest.run) else {
            return Ok(());
        };
        let (mut due, mut with_volumes) = (Vec::new(), false);
        for line in self.at().sums()? {
            let line = line?;
            match run_of(&line.path) {
                Some((run, within)) if run == newest && line.path != CHAIN => {
                    with_volumes |= PathKind::of(within) == PathKind::Volume;
                    due.push(line);
                }
                _ => {}
            }
        }
        if self.stored.is_some() {
            return self.check_stored(newest, &due);
        }
        let mut lines = due.iter();
        let paths = due.iter().map(|line| Ok(line.path.clone()));
        let mut compare = |path: &str, found: Option<String>| {
            let due = lines.next().map(|line| &line.sha256);
            match found {
                Some(found) if Some(&found) == due => Ok(()),
                Some(_) => Err(previous_run_damaged(&format!(
                    "{path} is not the file that {SUMS} lists"
                ))),
                None => Err(previous_run_damaged(&format!("{path} is missing"))),
            }
        };
        verify_sums::hash(&self.at(), paths, jobs, &mut compare)?;
        match with_volumes {
            true => self.check_members(newest, jobs),
            false => Ok(()),
        }
    }

    /// Of a run in an object store, which is not fetched for that: whether its files are there, and its volumes as long as they were.
    fn check_stored(&self, run: u32, due: &[SumLine]) -> Result<(), ArchiveError> {
        let at = self.at();
        let listing: BTreeMap<String, u64> = at.list_stored()?.iter().collect();
        if let Some(missing) = due.iter().find(|line| !listing.contains_key(&line.path)) {
            return Err(previous_run_damaged(&format!("{} is missing", missing.path)).into());
        }
        let list = at.run(run).read(VOLUMES)?;
        for volume in VolumeList::parse(&list)?.volumes {
            let path = match Index::path(run) {
                folder if folder.is_empty() => volume.name,
                folder => format!("{folder}/{}", volume.name),
            };
            if listing.get(&path) != Some(&volume.size) {
                let what = format!("{path} has not the size that {VOLUMES} lists");
                return Err(previous_run_damaged(&what).into());
            }
        }
        Ok(())
    }

    /// Reads the members of the volumes of a run: they are to be those that were signed.
    fn check_members(&self, run: u32, jobs: usize) -> Result<(), ArchiveError> {
        let signature = self.at().run(run).small(SIGNATURE)?;
        let statement = signature.as_deref().and_then(unproven);
        let statement = statement.ok_or_else(|| self.unsigned(run))?;
        let listing = self.at();
        let files = listing.list(false)?.files;
        if verify_sums::files_digest(&listing, &files, run, jobs)? != statement.files {
            return Err(previous_run_damaged(
                "the files in its volumes are not those that were signed",
            )
            .into());
        }
        Ok(())
    }
}

fn previous_run_damaged(what: &str) -> Error {
    Error::damaged(format!(
        "the run before is damaged: {what}; nothing was added to this chain: use another copy of it, or begin a new one"
    ))
}
