//! Report of a verification.

use decryptor_wasm::{
    plan::{Finding, Severity},
    signature::Signed,
};
use serde::Serialize;

use super::{sample::Sampled, seen::Hashes};
use crate::{
    archive::read::Archive,
    failure::FailureKind,
    findings::{pinned, sentence},
};

/// The outcome of a verification.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always `report`: with `--json`, lines of progress may come before it.
    pub event: &'static str,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// `good`, `problems` or `damaged`; of a sample without damage `no-damage-in-sample`.
    pub verdict: &'static str,
    /// Whether what is inside was read; otherwise only the files as they are stored.
    pub opened: bool,
    /// The line of the signer's public key. Of one that stays closed: of the signer who is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Which platform it is of, as far as that was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether the signer is one who is expected.
    pub pinned: bool,
    /// Whether there was an inventory, or without the key `SHA256SUMS`, to compare the files with.
    pub compared: bool,
    /// Of a chain: how many runs it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u32>,
    /// Files that are as they should be.
    pub files: u64,
    /// Bytes of their content; without the key, as stored.
    pub bytes: u64,
    /// Records in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Results of the hashes within events and accesses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
    /// Of one that was repaired before: a line for each file that was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Vec<String>>,
    /// The same for what was not, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_replaced: Vec<String>,
    /// Files that are damaged, missing, or were changed.
    pub damaged: Vec<String>,
    /// Things that cannot be restored as they were, although the archive is as it was made; or that nobody can tell.
    pub problems: Vec<String>,
    /// Of these, files that this version does not know.
    #[serde(skip)]
    pub left_out: Vec<String>,
    /// Odd things.
    pub warnings: Vec<String>,
    /// Claims of the archive about itself.
    pub notes: Vec<String>,
    /// Of a sample: which part was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sampled>,
    /// The paths of files that are damaged, of those that were read.
    #[serde(skip)]
    pub damaged_paths: Vec<String>,
    /// Whole run.
    pub seconds: f64,
    /// Whether the archive is encrypted.
    #[serde(skip)]
    pub sealed: bool,
}

impl Report {
    /// Of an archive that is open.
    pub fn of(archive: &Archive) -> Self {
        let mut report = Report {
            opened: true,
            compared: archive.plan.inventoried,
            sealed: archive.is_encrypted(),
            ..Report::without_key(archive.id().to_owned())
        };
        report.signed_by(archive.signed.as_ref(), pinned(archive));
        report
    }

    /// Of all runs of a chain, as long as none was read.
    pub fn of_chain(archive_id: String) -> Self {
        Report {
            opened: true,
            compared: true,
            runs: Some(0),
            ..Report::without_key(archive_id)
        }
    }

    /// Adds findings.
    pub fn take<'f>(&mut self, findings: impl IntoIterator<Item = &'f Finding>) {
        for finding in findings {
            match finding.severity {
                Severity::Error => self.damaged.push(sentence(finding)),
                _ => self.warnings.push(sentence(finding)),
            }
        }
    }

    /// Of one that stays closed.
    pub fn without_key(archive_id: String) -> Self {
        Report {
            event: "report",
            archive_id,
            verdict: "good",
            opened: false,
            signer: None,
            source: None,
            pinned: false,
            compared: false,
            runs: None,
            files: 0,
            bytes: 0,
            records: None,
            hashes: None,
            replaced: None,
            not_replaced: Vec::new(),
            damaged: Vec::new(),
            problems: Vec::new(),
            left_out: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            sample: None,
            damaged_paths: Vec::new(),
            seconds: 0.0,
            sealed: false,
        }
    }

    /// Adds what was found of a run of a chain; `named` puts its folder in front. What may be claimed of a chain is what may be claimed of
    /// all its runs.
    pub fn add_run(&mut self, one: Report, named: impl Fn(String) -> String) {
        let named = |sentences: Vec<String>| sentences.into_iter().map(&named);
        self.damaged_paths.extend(one.damaged_paths);
        self.damaged.extend(named(one.damaged));
        self.problems.extend(named(one.left_out));
        self.warnings.extend(named(one.warnings));
        self.notes.extend(named(one.notes));
        self.runs = self.runs.map(|runs| runs + 1);
        self.files += one.files;
        self.bytes += one.bytes;
        self.records = Some(self.records.unwrap_or(0) + one.records.unwrap_or(0));
        self.compared &= one.compared;
        self.sealed |= one.sealed;
    }

    /// Who signed it, and whether that is somebody who is expected.
    pub fn signed_by(&mut self, signed: Option<&Signed>, pinned: bool) {
        self.signer = signed.map(|signed| signed.signer.to_string());
        self.source = signed.map(|signed| signed.statement.source.clone());
        self.pinned = pinned;
    }

    /// To be called when all is read.
    pub fn close(&mut self, seconds: f64) {
        self.seconds = seconds;
        self.verdict = match self.problem() {
            None if self.sample.is_some() => "no-damage-in-sample",
            None => "good",
            Some(FailureKind::Damaged) => "damaged",
            Some(_) => "problems",
        };
    }

    /// Whether something is damaged, or there are problems.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        match (self.damaged.is_empty(), self.problems.is_empty()) {
            (false, _) => Some(FailureKind::Damaged),
            (true, false) => Some(FailureKind::Losses),
            (true, true) => None,
        }
    }
}
