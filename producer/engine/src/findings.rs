//! Findings about an archive from its opening, in words.

use decryptor_wasm::{
    Error,
    chain::{RunSequence, is_companion},
    plan::{Finding, Severity},
    signature::PINNED,
};

use crate::{
    archive::read::Archive,
    failure::FailureKind,
    observer::{Level, Observer},
};

/// A finding with its path in front, once.
pub fn sentence(finding: &Finding) -> String {
    if finding.path.is_empty() || finding.message.contains(&finding.path) {
        finding.message.clone()
    } else {
        format!("{}: {}", finding.path, finding.message)
    }
}

/// Whether somebody who is expected signed it.
pub fn pinned(archive: &Archive) -> bool {
    let findings = &archive.plan.findings;
    findings.iter().any(|finding| finding.code == PINNED)
}

/// Who signed it, and whether that is somebody who is expected, in words.
pub fn signed(archive: &Archive) -> Option<&str> {
    let mut findings = archive.plan.findings.iter();
    let said = findings.find(|finding| finding.names_signer());
    said.map(|said| said.message.as_str())
}

/// What is odd about the runs of a chain.
///
/// # Errors
/// What is wrong with one of them.
pub fn of_runs(runs: Option<&RunSequence>) -> Result<Vec<String>, String> {
    let findings = runs.into_iter().flat_map(RunSequence::findings);
    let line = |finding: &Finding| match finding.severity {
        Severity::Error => Err(sentence(finding)),
        _ => Ok(sentence(finding)),
    };
    findings.map(line).collect()
}

/// Tells what is wrong with an archive's list of files, and returns the kind of the worst of it.
pub fn tell(archive: &Archive, observer: &dyn Observer) -> Option<FailureKind> {
    let mut problem = None;
    for finding in &archive.plan.findings {
        if finding.severity == Severity::Error {
            observer.damaged(&format!("{}: {}", finding.path, finding.message));
            problem = Some(FailureKind::Damaged);
        } else if finding.is_left_out() {
            observer.tell(Level::LeftOut, &sentence(finding));
            problem = problem.or(Some(FailureKind::Losses));
        }
    }
    problem
}

/// Whether the decryptors and documents are those that the archive lists. What is asked for may not need them, but whoever changed them may
/// have changed more.
pub fn companions_hold(source: &Archive, observer: &dyn Observer) -> bool {
    let companions = source.files().iter();
    let companions = companions.filter(|file| is_companion(&file.path));
    let wrong = companions.filter_map(|file| {
        let read = source.stream::<Error>(&file, false, false, &mut |_| Ok(()));
        Some((file, read.err()?))
    });
    let named = wrong.map(|(file, error)| observer.damaged(&error.at(&file.path).to_string()));
    named.count() == 0
}
