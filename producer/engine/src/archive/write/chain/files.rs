//! The two files at the root that grow: the list of runs and the sums.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use decryptor_wasm::{
    Error,
    chain::{CHAIN, Index, run_of},
};

use super::{ArchiveError, Chain, sha256_hex};
use crate::archive::sums::{self, Line, Lines, SUMS};
use crate::files;

impl Chain {
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
    fn is_strange(&self, line: &Line) -> bool {
        let path = &line.path;
        path.starts_with("increments/") && run_of(path).is_none_or(|(run, _)| run >= self.next())
    }

    /// Replaces the list of runs. Two files cannot change at once, so the sums leave it out meanwhile: whenever this ends, they hold.
    /// `new`: the sums of a run, in its folder.
    pub(super) fn put_index(&self, new: Lines<'_>) -> Result<(), ArchiveError> {
        let index = Index::new(self.runs.clone()).to_json()?;
        self.put_sums(new, None)?;
        self.put(CHAIN, &mut |out| Ok(out.write_all(&index)?))?;
        self.put_sums(none(), Some(&sha256_hex(&index)))
    }

    /// Replaces the sums: without what is not named, with those of a run, and with that of the list of runs.
    pub(super) fn put_sums(&self, new: Lines<'_>, index: Option<&str>) -> Result<(), ArchiveError> {
        let stays = |line: &decryptor_wasm::Result<Line>| {
            let line = line.as_ref();
            line.map_or(true, |line| line.path != CHAIN && !self.is_strange(line))
        };
        let old: Lines<'_> = Box::new(self.at().sums()?.filter(stays));
        let index = index.map(|digest| Ok(Line::new(CHAIN, digest)));
        let mut merged = sums::merge(vec![old, new, Box::new(index.into_iter())]);
        self.put(SUMS, &mut |out| {
            for line in merged.by_ref() {
                line?.write(out)?;
            }
            Ok(())
        })
    }

    pub(super) fn aside(&self, name: &str) -> PathBuf {
        self.folder.join(format!(".{name}.new"))
    }

    /// Replaces a file.
    fn put(
        &self,
        name: &str,
        fill: &mut dyn FnMut(&mut BufWriter<File>) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let (place, aside) = (self.folder.join(name), self.aside(name));
        super::absent(&aside)?;
        let unwritten = files::replace(&place, &aside, |out| fill(out).map_err(Unwritten::Archive));
        unwritten.map_err(|e| match e {
            Unwritten::Io(e) => ArchiveError::io(&place, e),
            Unwritten::Archive(e) => e,
        })
    }
}

/// Why a file was not replaced.
enum Unwritten {
    Io(io::Error),
    Archive(ArchiveError),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Unwritten::Io(error)
    }
}

/// No line.
pub(super) fn none() -> Lines<'static> {
    Box::new(std::iter::empty())
}
