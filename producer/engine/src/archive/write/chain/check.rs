//! Whether what lies in the folder of a chain is a chain, and what a run left there that died.

use std::fs;

use decryptor_wasm::{
    BackupType, Envelope, Error, Manifest,
    chain::{CHAIN, Index, IndexRun, UNNAMED, run_of},
    layout::{ENVELOPE, MANIFEST},
    signature::{SIGNATURE, Statement, unproven},
};

use super::{ChainFolder, INCREMENTS, Leftovers, absent, run};
use crate::{
    archive::write::{ArchiveError, destination::remove},
    digest::sha256_hex,
};

impl ChainFolder {
    /// The folders of runs that are not named.
    pub(super) fn unlisted(&self) -> Result<Vec<String>, ArchiveError> {
        let increments = self.folder.join(INCREMENTS);
        let at = |e| ArchiveError::io(&increments, e);
        let mut unlisted = Vec::new();
        if increments.exists() {
            for entry in fs::read_dir(&increments).map_err(at)? {
                let name = entry.map_err(at)?.file_name();
                let path = format!("{INCREMENTS}/{}", name.to_string_lossy());
                if run_of(&format!("{path}/")).is_some_and(|(n, _)| n >= self.next()) {
                    unlisted.push(path);
                }
            }
        }
        Ok(unlisted)
    }

    /// An archive alone has neither increments nor a list of runs, which does not go by itself.
    pub(super) fn refuse_lost(&self) -> Result<(), ArchiveError> {
        let mut lost = !self.unlisted()?.is_empty();
        for line in self.at().sums()? {
            let path = line?.path;
            lost |= path == CHAIN || path.starts_with("increments/");
        }
        if lost {
            return Err(self.broken("its list of runs, chain.json, is missing"));
        }
        Ok(())
    }

    pub(super) fn broken(&self, what: &str) -> ArchiveError {
        Error::damaged(format!(
            "{} holds a chain, but {what}; nothing was added to it: use another copy of it, or begin a new one",
            self.folder.display()
        ))
        .into()
    }

    /// Describes an archive without a list of runs as the first run of a chain, if it can be that.
    pub(super) fn adopted(&self) -> Result<IndexRun, ArchiveError> {
        let at = self.at();
        let manifest = at.read(MANIFEST)?;
        let ours = if at.has(ENVELOPE) {
            Envelope::parse(&at.read(ENVELOPE)?)?.has_key_check()
        } else {
            Manifest::parse(&manifest)?.inventory.is_some()
        };
        if !ours {
            return Err(ArchiveError::Foreign(self.folder.clone()));
        }
        let signature = at.small(SIGNATURE)?;
        // Whether it holds, and whose it is, shows before anything is built on it.
        let statement = signature.as_deref().and_then(unproven);
        let statement = statement.ok_or_else(|| self.unsigned(1))?;
        let id = sha256_hex(&manifest);
        run(
            &at,
            &Statement { id, ..statement },
            1,
            BackupType::Full,
            None,
        )
    }

    /// Whether the runs are those that are listed, and follow one another.
    pub(super) fn check(&self) -> Result<(), ArchiveError> {
        let wrong = |run: &IndexRun, what: &str| {
            Err(Error::damaged(format!(
                "{}: run {} {what}; nothing was added to this chain: use another copy of it, or begin a new one",
                self.folder.join(CHAIN).display(),
                run.run
            ))
            .into())
        };
        let mut before: Option<&IndexRun> = None;
        for run in &self.runs {
            if run.run != before.map_or(1, |b| b.run + 1) || run.path != Index::path(run.run) {
                return wrong(run, "is out of order");
            }
            if run.parent.as_ref() != before.map(|before| &before.archive_id) {
                return wrong(run, "does not follow the one before it");
            }
            let at = self.at().run(run.run);
            if !at.has(MANIFEST) {
                return wrong(run, "is missing");
            }
            if sha256_hex(&at.read(MANIFEST)?) != run.archive_id {
                return wrong(run, "is another archive than the list says");
            }
            before = Some(run);
        }
        match before {
            Some(_) => Ok(()),
            None => Err(Error::damaged(format!(
                "{}: names no run; the file is damaged or was replaced",
                self.folder.join(CHAIN).display()
            ))
            .into()),
        }
    }

    /// Takes away what a run left that was not committed, and completes the sums of one that was.
    pub(super) fn take_away(
        &self,
        newest: Option<&str>,
        leftovers: Leftovers,
    ) -> Result<bool, ArchiveError> {
        let doomed = self.unlisted()?;
        let holds = self.sums_hold()?;
        // One run at a time can have died. More are those of a longer chain, whose list of runs was lost.
        if doomed.len() > 1 {
            return Err(self.other_index("names fewer runs than there are"));
        }
        let finished = |path: &String| {
            let manifest = fs::read(self.folder.join(path).join(MANIFEST)).unwrap_or_default();
            let unnamed = self.folder.join(path).join(UNNAMED).exists();
            !unnamed || newest == Some(sha256_hex(&manifest).as_str())
        };
        if let Some(path) = doomed.iter().find(|path| finished(path)) {
            return Err(
                self.other_index(&format!("does not name {path}, which a run has finished"))
            );
        }
        if !doomed.is_empty() || !holds {
            self.complete_sums()?;
        }
        for path in &doomed {
            let aside = self.staging();
            let at = |e| ArchiveError::io(&aside, e);
            absent(&aside)?;
            fs::rename(self.folder.join(path), &aside).map_err(at)?;
            if leftovers == Leftovers::Remove {
                remove(&aside).map_err(at)?;
            }
        }
        Ok(!doomed.is_empty())
    }
}
