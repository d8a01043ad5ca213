//! Checks that the runs of a chain are the ones that were made, in their order.

mod index;
mod signatures;

use sha2::{Digest, Sha256};

use super::{CHAIN, ChainKey, Index, IndexRun, describe::moment, format::is_full};
use crate::{
    BackupType, Code, Error, Field, Manifest, Result,
    container::MAGIC,
    hex,
    plan::{Finding, Severity},
    signature::{Demands, Signed, Signer, Statement, Tried, try_signature},
};

/// A run's files that are read without a key.
pub struct StoredRun {
    /// Its place, counted from 1.
    pub run: u32,
    /// `manifest.json` as stored.
    pub manifest: Vec<u8>,
    /// `manifest.json.minisig`, if it is there.
    pub signature: Option<Vec<u8>>,
    /// The file [`UNNAMED`] is there.
    pub unnamed: bool,
}

impl StoredRun {
    /// True if one of these signed it.
    fn is_signed_by(&self, signers: &[Signer]) -> bool {
        let minisig = self.signature.as_deref().unwrap_or_default();
        let holds = |signer| try_signature(signer, &self.manifest, minisig);
        let mut tried = signers.iter().map(holds);
        tried.any(|tried| matches!(tried, Tried::Holds(_)))
    }

    /// True if its manifest is encrypted.
    fn is_sealed(&self) -> bool {
        self.manifest.starts_with(MAGIC)
    }
}

/// A file in the folder of a run that no list names yet: whoever was adding it has not finished.
pub const UNNAMED: &str = ".unnamed";

/// The runs that `chain.json` names, held against what is there; and against what each says of itself, as far as they are opened.
pub struct RunSequence {
    index: Index,
    /// Hex SHA-256 of each `manifest.json` that is there, by place.
    ids: Vec<(u32, String)>,
    /// The first thing that is wrong with a run, by place.
    wrong: Vec<(u32, Finding)>,
    others: Vec<Finding>,
    /// A run that was finished and is not listed.
    unlisted: Option<Finding>,
    /// Parents in `chain.json` that do not fit: what was signed decides, once it is known.
    listed_parents: Vec<(u32, Finding)>,
    /// Those of the increments that were opened.
    keys: Vec<(u32, ChainKey)>,
    stored: Vec<StoredRun>,
    /// The statements that the signer of the requested run has signed, by place.
    statements: Vec<(u32, Statement)>,
    /// A run was requested, instead of the newest.
    asked: bool,
    /// Why nobody but the reader can say which state is the right one.
    choice: Option<Error>,
}

impl RunSequence {
    /// `stored`: every run whose folder has a `manifest.json`, by place.
    ///
    /// # Errors
    /// When the index names no run at all.
    pub fn new(index: Index, stored: Vec<StoredRun>) -> Result<Self> {
        if index.runs.is_empty() {
            return Err(Error::of(Code::IndexEmpty).at(CHAIN));
        }
        let id = |run: &StoredRun| (run.run, hex(&Sha256::digest(&run.manifest)));
        let mut sequence = RunSequence {
            index,
            ids: stored.iter().map(id).collect(),
            wrong: Vec::new(),
            others: Vec::new(),
            unlisted: None,
            listed_parents: Vec::new(),
            keys: Vec::new(),
            stored,
            statements: Vec::new(),
            asked: false,
            choice: None,
        };
        let checked = sequence.check_index();
        for (run, (listed, parent)) in (1..).zip(checked) {
            if let Some((code, path, message)) = listed {
                sequence.find(run, code, path, message);
            } else if let Some((code, message)) = parent {
                let finding = Finding {
                    severity: Severity::Error,
                    code,
                    path: CHAIN.to_owned(),
                    message,
                };
                sequence.listed_parents.push((run, finding));
            }
        }
        sequence.find_unlisted();
        Ok(sequence)
    }

    /// An archive that is no chain, as the only run of one; `statement` is what its signature states, believed by nobody yet.
    ///
    /// # Errors
    /// Never in practice.
    pub fn alone(
        statement: &Statement,
        manifest: Vec<u8>,
        signature: Option<Vec<u8>>,
    ) -> Result<Self> {
        let run = IndexRun {
            run: 1,
            path: Index::path(1),
            archive_id: hex(&Sha256::digest(&manifest)),
            parent: None,
            kind: BackupType::Full,
            created_at: statement.created,
            mode: manifest.starts_with(MAGIC).then(String::new),
            recipients: Vec::new(),
        };
        let stored = StoredRun {
            run: 1,
            manifest,
            signature,
            unnamed: false,
        };
        RunSequence::new(Index::new(vec![run]), vec![stored])
    }

    /// The number of runs.
    pub fn count(&self) -> u32 {
        self.index.runs.len() as u32
    }

    /// The entry of a run in `chain.json`.
    pub fn run(&self, run: u32) -> Option<&IndexRun> {
        self.index.runs.get(run.checked_sub(1)? as usize)
    }

    /// All that `chain.json` says.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The run whose state is asked for: the newest, unless another is.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn choose(&mut self, at: Option<u32>) -> Result<u32> {
        self.asked = at.is_some();
        match at {
            None => Ok(self.count()),
            Some(run) if self.run(run).is_some() => Ok(run),
            Some(run) => {
                let error = Error::of(Code::NoSuchRun).with(Field::Run, run);
                Err(match self.count() {
                    1 => error,
                    count => error.with(Field::Limit, count),
                })
            }
        }
    }

    /// The manifest of a run was opened, the run that is asked for first; `signed` is what [`Signed::check`] made of it. `expected`: the
    /// signers who are pinned.
    pub fn opened(
        &mut self,
        run: u32,
        manifest: &Manifest,
        signed: Option<&Signed>,
        expected: &[Signer],
    ) {
        let Some(signed) = signed else {
            let message = format!(
                "run {run} has no inventory, which every run of a chain has: it was replaced"
            );
            return self.find(run, "signature", place_of(run), message);
        };
        if self.statements.is_empty() {
            self.check_signatures(run, signed, expected);
        }
        let Some(link) = manifest.chain.as_ref().filter(|_| !is_full(manifest)) else {
            return;
        };
        // Runs are opened from the newest down.
        let mut after = self.keys.iter();
        if after.any(|(after, key)| self.before(*after) == Some(run) && *key != link.key) {
            let message = format!("a later run has another key for its tombstones than run {run}");
            self.find(run, "foreign", place_of(run), message);
        }
        self.keys.push((run, link.key.clone()));
    }

    /// Without a key: the run whose state is asked for, if one of `signers` signed it. What is wrong with the runs is found then.
    pub fn signed_by(&mut self, at: u32, signers: &[Signer]) -> Option<Signed> {
        let stored = self.stored.iter().find(|stored| stored.run == at)?;
        let minisig = stored.signature.as_deref()?;
        let tried = |signer: &Signer| match try_signature(signer, &stored.manifest, minisig) {
            Tried::Holds(statement) => Some(Signed {
                signer: signer.clone(),
                statement,
            }),
            _ => None,
        };
        let signed = signers.iter().find_map(tried)?;
        self.check_signatures(at, &signed, signers);
        Some(signed)
    }

    fn statement(&self, run: u32) -> Option<&Statement> {
        let found = self
            .statements
            .binary_search_by_key(&run, |(known, _)| *known);
        found.ok().map(|at| &self.statements[at].1)
    }

    /// The place of the run that an opened run follows; none for one that is full.
    pub fn before(&self, run: u32) -> Option<u32> {
        let statement = self
            .statement(run)
            .filter(|s| s.kind == BackupType::Incremental)?;
        let parent = statement.parent.as_ref()?;
        let found = self.ids.iter().find(|(_, id)| id == parent);
        let place = found.map(|(place, _)| *place).or_else(|| {
            // One that is listed and not there: `require` says so.
            let mut listed = self.index.runs.iter();
            let at = listed.position(|listed| listed.archive_id == *parent)?;
            u32::try_from(at + 1).ok()
        });
        place.filter(|place| *place < run)
    }

    fn find(&mut self, run: u32, code: &'static str, path: String, message: String) {
        if let Err(at) = self.wrong.binary_search_by_key(&run, |(wrong, _)| *wrong) {
            let finding = Finding {
                severity: Severity::Error,
                code,
                path,
                message,
            };
            self.wrong.insert(at, (run, finding));
        }
    }

    fn wrong_with(&self, run: u32) -> Option<&Finding> {
        let found = self.wrong.binary_search_by_key(&run, |(wrong, _)| *wrong);
        found.ok().map(|at| &self.wrong[at].1)
    }

    /// The id of the run that lies there.
    fn id(&self, run: u32) -> Option<&String> {
        let found = self.ids.binary_search_by_key(&run, |(known, _)| *known);
        found.ok().map(|at| &self.ids[at].1)
    }

    /// All that is wrong or odd so far.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.wrong
            .iter()
            .chain(&self.listed_parents)
            .map(|(_, finding)| finding)
            .chain(&self.others)
            .chain(&self.unlisted)
    }

    /// The same as remarks on a state that needs none of the runs that something is wrong with.
    pub fn remarks(&self) -> impl Iterator<Item = Finding> {
        self.findings().map(|finding| Finding {
            severity: Severity::Warning,
            ..finding.clone()
        })
    }

    /// Names the run whose state is read, in a few words.
    pub fn headline(&self, at: u32) -> String {
        let base = self.run(1).map_or("", |run| run.archive_id.as_str());
        format!("run {at} of {} of the chain {base}", self.count())
    }

    /// A line for each run.
    pub fn lines(&self) -> Vec<String> {
        let line = |run: &IndexRun| {
            let sealed = match (&run.mode, run.recipients.as_slice()) {
                (None, _) => "not encrypted".to_owned(),
                (Some(_), []) => "encrypted with a passphrase".to_owned(),
                (Some(_), some) => format!("encrypted to {}", some.join(", ")),
            };
            format!(
                "run {}  {}  {}, {sealed}  archive {}",
                run.run,
                moment(run.created_at),
                run.kind.name(),
                run.archive_id
            )
        };
        self.index.runs.iter().map(line).collect()
    }

    /// The error for a run that was refused because of who signed it, its platform or its age; it names the newest state before that the
    /// demands let pass.
    pub fn unexpected(&self, error: Error, demands: &Demands) -> Error {
        let taken = |stored: &&StoredRun| {
            let minisig = stored.signature.as_deref().unwrap_or_default();
            let mut signers = demands.signers.iter();
            signers.any(
                |signer| match try_signature(signer, &stored.manifest, minisig) {
                    Tried::Holds(statement) => demands.takes(&statement),
                    _ => false,
                },
            )
        };
        let before = self.stored.iter().filter(|run| run.run < self.count());
        match before.filter(taken).map(|run| run.run).max() {
            Some(run) if !self.asked => error.with(Field::Instead, run),
            _ => error,
        }
    }

    /// The error for a run that the key does not open; what the envelope said of it names who can.
    pub fn closed(&self, error: Error, run: u32) -> Error {
        match self.count() {
            1 => error,
            _ => error.with(Field::Run, run),
        }
    }

    /// An error unless nothing is wrong with a run that the state of `at` needs; it says which states can still be had.
    ///
    /// # Errors
    /// The first finding about a run that the state needs.
    pub fn require(&self, run: u32, at: u32) -> Result<()> {
        if let Some(finding) = self.wrong_with(run) {
            return Err(self.refuse(finding, run, at));
        }
        // The newest state is only taken where nothing speaks against any of the runs.
        let unsigned = |(wrong, finding): &&(u32, Finding)| {
            *wrong < at && finding.code == "signature" && !self.asked
        };
        if let Some((wrong, finding)) = self.wrong.iter().find(unsigned) {
            return Err(self.refuse(finding, *wrong, at));
        }
        if let Some(finding) = self.unlisted.as_ref().filter(|_| !self.asked) {
            return Err(Error::of(Code::RunUnlisted)
                .at(&finding.path)
                .with(Field::Detail, finding.message.as_str())
                .with(Field::Instead, at));
        }
        match &self.choice {
            Some(choice) => Err(choice.clone()),
            None => Ok(()),
        }
    }

    /// The same for a run that is damaged in another way; what to do about that the error says itself.
    pub fn damaged(&self, error: Error, run: u32, at: u32) -> Error {
        self.needed_by(error.in_run(run), run, at)
    }

    fn refuse(&self, finding: &Finding, run: u32, at: u32) -> Error {
        let error = Error::of(Code::RunWrong)
            .with(Field::Found, finding.code)
            .with(Field::Detail, finding.message.as_str());
        let error = match finding.path.as_str() {
            "" => error,
            path => error.at(path),
        };
        self.needed_by(error, run, at)
    }

    /// The error with why a damaged run matters, and with the newest state before all that is wrong.
    fn needed_by(&self, mut error: Error, run: u32, at: u32) -> Error {
        // Both are in the order of the runs.
        let wrong = self.wrong.first().into_iter();
        let wrong = wrong.chain(self.listed_parents.first());
        let first_wrong = wrong.map(|(wrong, _)| *wrong).fold(run, u32::min);
        error = error.with(Field::Run, run);
        if run != at {
            error = error.with(Field::State, at);
        }
        match first_wrong.checked_sub(1) {
            None | Some(0) => error,
            Some(before) => error.with(Field::Instead, before),
        }
    }
}

fn place_of(run: u32) -> String {
    Index::path(run)
}
