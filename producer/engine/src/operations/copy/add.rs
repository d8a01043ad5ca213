//! Adds the runs that an older copy lacks.

use std::{fs, path::Path, sync::atomic::Ordering};

use decryptor_wasm::{
    chain::{CHAIN, Index},
    layout::{ENVELOPE, MANIFEST},
};

use super::{Work, kept, write_sums};
use crate::{
    archive::{
        ArchiveError, ChainFolder,
        read::Folder,
        write::{STAGING, remove},
    },
    digest::sha256_hex,
    failure::Failure,
    folders, regular,
    threads::lock,
};

impl Work<'_> {
    /// Adds runs to the copy that is there, which has to be one of the first runs of the same chain.
    pub(super) fn add(&self, to: &Path) -> Result<(), Failure> {
        let copy = Folder::new(to);
        let there = self.runs_there(to)?;
        self.remark_envelopes(&copy, there)?;
        lock(&self.done).runs_there = there;
        let mut chain = match self.source.sequence() {
            Some(_) => Some(ChainFolder::resume(to)?),
            None => None,
        };
        let _lock = match &chain {
            Some(_) => None,
            None => Some(folders::lock(to, "another run")?),
        };
        let added = match &mut chain {
            Some(chain) => self.append(chain, there),
            None => Ok(()),
        };
        if added.is_err() {
            self.unless_interrupted()?;
        }
        let staging = to.join(STAGING);
        if regular::is_there(&staging) {
            remove(&staging).map_err(|e| ArchiveError::io(&staging, e))?;
        }
        added
    }

    fn append(&self, chain: &mut ChainFolder, there: u32) -> Result<(), Failure> {
        let staging = chain.staging();
        let missing = self.source.runs.iter().filter(|run| run.number > there);
        for run in missing {
            if !regular::is_there(&staging) {
                fs::create_dir(&staging).map_err(|e| ArchiveError::io(&staging, e))?;
            }
            let left = kept::left(&staging, &|path| self.may_stay(run.number, path))?;
            let lines = self.run(run, &staging, &left)?;
            write_sums(&staging, lines)?;
            let sequence = self.source.sequence();
            if let Some(listed) = sequence.and_then(|sequence| sequence.run(run.number)) {
                chain.append(&staging, listed.clone())?;
                self.added.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// How many runs the copy has, which are the first of the source.
    fn runs_there(&self, folder: &Path) -> Result<u32, Failure> {
        let (from, to) = (&self.options.from, folder.display());
        let refused = |what: &str| {
            let exists = ArchiveError::Exists(folder.to_owned());
            Failure::from(exists).with_message(format!(
                "{what}: nothing was copied; give an empty or new folder"
            ))
        };
        let copy = Folder::new(folder);
        copy.refuse_links()?;
        let count = match copy.has(CHAIN) {
            true => Index::parse(&copy.read(CHAIN)?)?.runs.len(),
            false => 1,
        };
        if count > self.source.runs.len() {
            return Err(refused(&format!("{to} holds more runs than {from}")));
        }
        for run in &self.source.runs[..count] {
            let of_run = copy.run(run.number);
            let same =
                of_run.has(MANIFEST) && sha256_hex(&of_run.read(MANIFEST)?) == run.statement.id;
            if !same {
                return Err(refused(&match run.number {
                    1 => format!("{to} holds another backup than {from}"),
                    number => format!("run {number} in {to} is another one than in {from}"),
                }));
            }
        }
        Ok(self
            .source
            .runs
            .get(count.wrapping_sub(1))
            .map_or(0, |run| run.number))
    }

    /// Recipients may have been changed on one side: without a key nobody can say which envelope is good.
    pub(super) fn remark_envelopes(&self, copy: &Folder, there: u32) -> Result<(), Failure> {
        for run in 1..=there {
            let (own, other) = (self.source.folder.run(run), copy.run(run));
            if own.has(ENVELOPE) && other.small(ENVELOPE)? != own.small(ENVELOPE)? {
                lock(&self.done).warnings.push(format!(
                    "{ENVELOPE} of run {run} in {} is another one than in {}: it was left as it is (`pryv-backup rekey` changes recipients)",
                    self.options.to,
                    self.options.from
                ));
            }
        }
        Ok(())
    }
}
