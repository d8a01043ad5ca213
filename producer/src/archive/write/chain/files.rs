//! The two files at the root that grow: the list of runs and the sums.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
};

use decryptor_wasm::{
    Error,
    chain::{CHAIN, Index, run_of},
};

use super::{ArchiveError, Chain, SUMS, sha256_hex};

/// Digest and two spaces in front of a path, in the sums.
pub(super) const DIGEST: usize = 66;

impl Chain {
    /// Whether the sums list the list of runs as it is, and no run that it does not name.
    pub(super) fn sums_hold(&self) -> Result<bool, ArchiveError> {
        let due = format!("{}  {CHAIN}", sha256_hex(&self.read(CHAIN)?));
        let (mut listed, mut other, mut strange) = (false, false, false);
        self.each_sum(&mut |line| {
            if line.get(DIGEST..) == Some(CHAIN) {
                listed |= line == due;
                other |= line != due;
            }
            strange |= self.is_strange(line);
            Ok(())
        })?;
        // While a run replaces the list, the sums leave it out.
        if other {
            return Err(self.other_index("is not the one that SHA256SUMS lists"));
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
    fn is_strange(&self, line: &str) -> bool {
        let path = line.get(DIGEST..).unwrap_or_default();
        path.starts_with("increments/") && run_of(path).is_none_or(|(run, _)| run >= self.next())
    }

    pub(super) fn each_sum(
        &self,
        take: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> Result<(), ArchiveError> {
        let path = self.folder.join(SUMS);
        let at = |e| ArchiveError::io(&path, e);
        for line in BufReader::new(File::open(&path).map_err(at)?).lines() {
            take(&line.map_err(at)?).map_err(at)?;
        }
        Ok(())
    }

    /// Replaces the list of runs. Two files cannot change at once, so the sums leave it out meanwhile: whenever this ends, they hold.
    /// `new`: the sums of a run, and its folder.
    pub(super) fn put_index(&self, new: Option<(&[u8], &str)>) -> Result<(), ArchiveError> {
        let index = Index::new(self.runs.clone()).to_json()?;
        self.put_sums(new, None)?;
        self.put(CHAIN, |out| out.write_all(&index))?;
        self.put_sums(None, Some(&sha256_hex(&index)))
    }

    /// Replaces the sums: without what is not named, with those of a run, and with that of the list of runs.
    pub(super) fn put_sums(
        &self,
        new: Option<(&[u8], &str)>,
        index: Option<&str>,
    ) -> Result<(), ArchiveError> {
        self.put(SUMS, |out| {
            self.each_sum(&mut |line| {
                let is_index = line.get(DIGEST..) == Some(CHAIN);
                if is_index || self.is_strange(line) {
                    return Ok(());
                }
                writeln!(out, "{line}")
            })
            .map_err(io::Error::other)?;
            if let Some((lines, path)) = new {
                for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                    let (digest, of) = line.split_at_checked(DIGEST).unwrap_or_default();
                    out.write_all(digest)?;
                    out.write_all(path.as_bytes())?;
                    out.write_all(b"/")?;
                    out.write_all(of)?;
                    out.write_all(b"\n")?;
                }
            }
            match index {
                Some(digest) => writeln!(out, "{digest}  {CHAIN}"),
                None => Ok(()),
            }
        })
    }

    pub(super) fn aside(&self, name: &str) -> PathBuf {
        self.folder.join(format!(".{name}.new"))
    }

    /// Replaces a file: whoever looks sees the old one or the new one, also after a loss of power.
    fn put(
        &self,
        name: &str,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), ArchiveError> {
        let (place, aside) = (self.folder.join(name), self.aside(name));
        let write = || -> io::Result<()> {
            let mut file = BufWriter::new(File::create(&aside)?);
            fill(&mut file)?;
            let file = file.into_inner().map_err(|e| e.into_error())?;
            if let Ok(now) = fs::metadata(&place) {
                file.set_permissions(now.permissions())?;
            }
            file.sync_all()?;
            fs::rename(&aside, &place)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|e| ArchiveError::io(&place, e))
    }

    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let path = self.folder.join(name);
        fs::read(&path).map_err(|e| ArchiveError::io(&path, e))
    }
}
