//! The two files at the root that grow: the list of runs and the sums.

use decryptor_wasm::{
    Error,
    chain::{CHAIN, Index, run_of},
};

use super::{ArchiveError, ChainFolder};
use crate::{
    archive::{
        listed_files::{ListedFile, Replacement, Replacer, none},
        sums::{SumLine, SumLines},
    },
    digest::sha256_hex,
};

impl ChainFolder {
    /// Whether the sums list the list of runs as it is, and no run that it does not name.
    pub(super) fn sums_hold(&self) -> Result<bool, ArchiveError> {
        let due = sha256_hex(&self.at().read(CHAIN)?);
        let (mut listed, mut strange) = (false, false);
        for line in self.at().sums()? {
            let line = line?;
            // While a run replaces the list, the sums leave it out.
            if line.path == CHAIN && line.sha256 != due {
                return Err(self.other_index("is not the one that SHA256SUMS lists"));
            }
            listed |= line.path == CHAIN;
            strange |= self.is_strange(&line);
        }
        Ok(listed && !strange)
    }

    pub(super) fn other_index(&self, what: &str) -> ArchiveError {
        Error::damaged(format!(
            "{} {what}; it was changed or replaced: nothing was added to this chain, use another copy of it, or begin a new one",
            self.folder.join(CHAIN).display()
        ))
        .into()
    }

    /// Whether a line of the sums is of a run that is not named.
    fn is_strange(&self, line: &SumLine) -> bool {
        let path = &line.path;
        path.starts_with("increments/") && run_of(path).is_none_or(|(run, _)| run >= self.next())
    }

    /// Replaces the list of runs by the runs that are known now. `new`: the sums of a run, in its folder.
    pub(super) fn put_index(&self, new: SumLines<'_>) -> Result<(), ArchiveError> {
        let index = Index::new(self.runs.clone()).to_json()?;
        self.replace_index(&index, true, new)
    }

    /// Completes the sums: without lines of runs that are not named, and with one for the list of runs.
    pub(super) fn complete_sums(&self) -> Result<(), ArchiveError> {
        self.replace_index(&self.at().read(CHAIN)?, false, none())
    }

    fn replace_index(
        &self,
        index: &[u8],
        replace: bool,
        add: SumLines<'_>,
    ) -> Result<(), ArchiveError> {
        let replacement = Replacement {
            folder: &self.at(),
            by: Replacer::Backup,
            files: &[ListedFile {
                path: CHAIN,
                bytes: index,
                replace,
            }],
            keep: &|line| !self.is_strange(line),
            add,
        };
        Ok(replacement.run()?)
    }
}
