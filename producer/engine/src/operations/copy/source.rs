//! The backup that is copied: its runs, what was signed of each, and the digests that its files have to have.

use std::collections::BTreeSet;

use decryptor_wasm::{
    Error, FileList,
    chain::{CHAIN, Index, RunSequence, run_of},
    container::MAGIC,
    layout::{ENVELOPE, MANIFEST, PathKind, SIGNATURE},
    open::Listed,
    plan::NOT_OURS,
    signature::{Signer, Statement, Tried, try_signature, unproven},
    volume::VOLUME_LEFT,
};
use sha2::{Digest, Sha256};

use super::damaged;
use crate::{
    advice::Advice,
    archive::{
        envelopes,
        read::{Folder, outline},
        sums::SUMS,
    },
    digest::sha256_hex,
    failure::Failure,
    findings::{of_runs, sentence},
    operations::verify::sums::Sums,
    text::{hex, unhex},
};

/// See the module.
pub(super) struct Source {
    pub folder: Folder,
    /// In their order, from the first.
    pub runs: Vec<Run>,
    /// The signer who is expected and signed it.
    pub signer: Option<Signer>,
    /// What is wrong with it and is not copied.
    pub warnings: Vec<String>,
    /// Of a chain.
    sequence: Option<RunSequence>,
    /// What `SHA256SUMS` says of `chain.json`.
    index_sum: Option<[u8; 32]>,
}

/// A run that is copied.
pub(super) struct Run {
    pub number: u32,
    pub statement: Statement,
    /// Its files, in the order of their paths.
    pub files: Vec<SourceFile>,
    /// Whether the digests that `SHA256SUMS` lists are those that were signed.
    pub proven: bool,
    /// Whether there are volumes.
    pub in_volumes: bool,
    /// Whether its manifest is encrypted.
    sealed: bool,
    /// The digest of its signature.
    signature: [u8; 32],
}

/// A file that is copied.
pub(super) struct SourceFile {
    /// From the folder of the run.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The digest that was signed, or that of the bytes that were checked; none where that of each file is not known.
    pub due: Option<[u8; 32]>,
}

impl Run {
    /// The path of one of its files from the root.
    pub fn path(&self, within: &str) -> String {
        match Index::path(self.number) {
            root if root.is_empty() => within.to_owned(),
            folder => format!("{folder}/{within}"),
        }
    }

    /// One of its files.
    pub fn find(&self, path: &str) -> Option<&SourceFile> {
        let found = self
            .files
            .binary_search_by(|file| file.path.as_str().cmp(path));
        found.ok().map(|at| &self.files[at])
    }
}

impl Source {
    /// Looks at a backup, as far as that needs no key.
    ///
    /// # Errors
    /// When it is damaged where that shows, or not signed by one of `signers`; there may be none.
    pub fn open(folder: Folder, signers: &[Signer]) -> Result<Self, Failure> {
        let seen = outline(&folder)?;
        if let Some(lost) = seen.lost {
            return Err(lost.into());
        }
        let mut warnings = of_runs(seen.runs.as_ref()).map_err(|wrong| damaged(&wrong))?;
        // An index that hides a file would hide it from the copy too.
        let Listed {
            files: listing,
            findings,
            ..
        } = folder.list(true)?;
        let mut sums = match folder.has(SUMS) {
            true => Sums::read(&folder, &listing)?,
            false => Sums::default(),
        };
        warnings.extend(findings.iter().map(sentence));
        let left = findings.iter().filter(|found| found.code == VOLUME_LEFT);
        let left = left.map(|found| found.path.clone()).collect();
        let mut source = Source {
            runs: Vec::new(),
            signer: None,
            warnings,
            sequence: seen.runs,
            index_sum: None,
            folder,
        };
        for number in 1..=source.sequence.as_ref().map_or(1, RunSequence::count) {
            let run = source.open_run(number, signers, &mut sums)?;
            source.runs.push(run);
        }
        source.take(&listing, &sums, &left)?;
        for run in &mut source.runs {
            run.finish();
            run.check_envelope(&source.folder)?;
        }
        Ok(source)
    }

    /// Distributes the files among the runs, but for what lies in the volumes in `left` alone: those are of attempts that were not finished.
    fn take(
        &mut self,
        listing: &FileList,
        sums: &Sums,
        left: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let mut due = sums.due.iter().copied();
        for (path, size) in listing.iter() {
            let due = due.next().flatten();
            if !left.is_empty() {
                let volume = self.folder.place(&path)?;
                if volume.is_some_and(|(volume, _)| left.contains(&volume)) {
                    continue;
                }
            }
            let place = run_of(&path);
            let kind = place.map_or(PathKind::Stray, |(_, within)| PathKind::of(within));
            if kind == PathKind::Stray {
                self.warnings.push(format!("{path}: {NOT_OURS}"));
            }
            if path == CHAIN {
                self.index_sum = due;
            }
            let Some((number, within)) = place else {
                continue;
            };
            let Some(run) = self.runs.get_mut(number as usize - 1) else {
                continue;
            };
            match kind {
                // The lists and what belongs to volumes are made anew.
                PathKind::Sums | PathKind::Chain | PathKind::Stray => {}
                PathKind::Volume => run.in_volumes = true,
                _ => run.files.push(SourceFile {
                    path: within.to_owned(),
                    size,
                    due,
                }),
            }
        }
        Ok(())
    }

    fn open_run(
        &mut self,
        number: u32,
        signers: &[Signer],
        sums: &mut Sums,
    ) -> Result<Run, Failure> {
        let of_run = self.folder.run(number);
        let minisig = of_run.small(SIGNATURE)?;
        let Some(statement) = minisig.as_deref().and_then(unproven) else {
            return Err(Failure::usage(format!(
                "run {number} of {} is not signed, so a copy cannot be checked: copy the folder with another program, and verify it with the key",
                self.folder.path().display()
            )));
        };
        let manifest = of_run.read(MANIFEST)?;
        if statement.id != sha256_hex(&manifest) {
            return Err(damaged(&format!(
                "manifest.json of run {number} is not the one that was signed"
            )));
        }
        let minisig = minisig.unwrap_or_default();
        if !signers.is_empty() {
            let holds = |signer: &&Signer| {
                matches!(try_signature(signer, &manifest, &minisig), Tried::Holds(_))
            };
            let signer = signers.iter().find(holds).ok_or_else(|| {
                damaged(&format!(
                    "run {number} is not signed by a signer whom you expect; it may have been replaced"
                ))
                .advise(Advice::Signer)
            })?;
            self.signer = Some(signer.clone());
        }
        Ok(Run {
            number,
            proven: sums.digest_of(number) == statement.files,
            statement,
            files: Vec::new(),
            in_volumes: false,
            sealed: manifest.starts_with(MAGIC),
            signature: Sha256::digest(&minisig).into(),
        })
    }

    /// How many runs there are.
    pub fn count(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.number)
    }

    /// The run of that number.
    pub fn run(&self, number: u32) -> Option<&Run> {
        self.runs.get(number.checked_sub(1)? as usize)
    }

    /// The newest run.
    pub fn newest(&self) -> &Run {
        // There is always one.
        &self.runs[self.runs.len() - 1]
    }

    /// The runs of a chain as their list has them.
    pub fn sequence(&self) -> Option<&RunSequence> {
        self.sequence.as_ref()
    }

    /// `chain.json` and its digest; none for an archive by itself.
    pub fn index(&self) -> Result<Option<(Vec<u8>, String)>, Failure> {
        let Some(sequence) = &self.sequence else {
            return Ok(None);
        };
        let bytes = match self.folder.has(CHAIN) {
            true => self.folder.read(CHAIN)?,
            // Its runs list themselves.
            false => sequence.index().to_json()?,
        };
        let sha256 = sha256_hex(&bytes);
        if self.index_sum.is_some_and(|due| hex(&due) != sha256) {
            return Err(damaged("chain.json is not the one that SHA256SUMS lists"));
        }
        if Index::parse(&bytes)? != *sequence.index() {
            return Err(damaged("chain.json changed while the backup was copied"));
        }
        Ok(Some((bytes, sha256)))
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let files = self.runs.iter().flat_map(|run| &run.files);
        files.map(|file| file.size).sum()
    }
}

impl Run {
    /// Only digests that were signed are due. The envelope is checked otherwise.
    fn finish(&mut self) {
        let (proven, id) = (self.proven, unhex(&self.statement.id));
        for file in &mut self.files {
            match PathKind::of(&file.path) {
                PathKind::Manifest => file.due = id,
                PathKind::Signature => file.due = Some(self.signature),
                PathKind::Envelope => {}
                _ if proven => {}
                _ => file.due = None,
            }
        }
    }

    /// Checks the envelope, whose bytes are due then. `folder`: of all runs.
    fn check_envelope(&mut self, folder: &Folder) -> Result<(), Failure> {
        let at = |error: Error| damaged(&error.in_run(self.number).to_string());
        let mut files = self.files.iter_mut();
        let file = files.find(|file| PathKind::of(&file.path) == PathKind::Envelope);
        let listed = file.as_ref().and_then(|file| file.due);
        let listed = listed.map(|due| hex(&due));
        let stored = file
            .as_ref()
            .map(|_| folder.run(self.number).read(ENVELOPE));
        let stored = stored.transpose().map_err(at)?;
        let created = Some(self.statement.created);
        envelopes::check_read(self.sealed, stored.as_deref(), created, listed.as_deref())
            .map_err(at)?;
        if let (Some(file), Some(stored)) = (file, stored) {
            file.due = Some(Sha256::digest(&stored).into());
        }
        Ok(())
    }
}
