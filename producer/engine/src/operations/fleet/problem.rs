//! What can be wrong with the backups of several cores, each with a name.

use decryptor_wasm::Code;
use serde::{Serialize, Serializer};

use crate::{
    advice::Sentence,
    failure::{Failure, FailureKind},
};

macro_rules! kinds {
    ($($kind:ident $name:literal $failure:ident $meaning:literal;)*) => {
        /// What is wrong. `docs/operating.md` lists the names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemKind { $(#[doc = $meaning] $kind,)* }

        impl ProblemKind {
            /// A stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(ProblemKind::$kind => $name,)* }
            }

            /// What it means for the outcome.
            #[must_use]
            pub fn failure(self) -> FailureKind {
                match self { $(ProblemKind::$kind => FailureKind::$failure,)* }
            }
        }

        #[cfg(test)]
        const MEANINGS: &[(&str, FailureKind, &str)] = &[$(($name, FailureKind::$failure, $meaning),)*];
    };
}

kinds! {
    Damaged "damaged" Damaged "A run is damaged or was tampered with, or somebody else signed it.";
    Unsigned "unsigned" Damaged "A backup that nobody signed: nothing proves when it was made, so it is not counted.";
    Future "future" Damaged "The time of a run is in the future; it is not counted.";
    SourceChanged "source-changed" Damaged "The backups of a prefix are of another platform or host than at the last look.";
    CoreChanged "core-changed" Damaged "The backups of a prefix are of another core than at the last look.";
    SignerChanged "signer-changed" Damaged "Somebody else signs the backups of a prefix than at the last look.";
    RolledBack "rolled-back" Damaged "The newest run of a prefix is older than the one of the last look.";
    Gone "gone" Losses "A prefix that was there at the last look holds nothing any more.";
    NoRun "no-good-run" Losses "A core has no good run.";
    TooOld "too-old" Losses "The newest good run of a core is older than it may be.";
    SameBackup "same-backup" Losses "Two prefixes hold the same backup, or backups of the same source.";
    SameCore "same-core" Losses "The backups of two prefixes name the same core.";
    CoreMissing "core-missing" Losses "The platform knows a core that has no backup here.";
    TwoCores "user-on-two-cores" Losses "A user is in the backups of two cores.";
    NotBackedUp "user-in-no-backup" Losses "The platform sends a user to a core, and no backup that is new enough holds the user.";
    NamesUnknown "names-unknown" Losses "Which users are in no backup cannot be told.";
    Closed "closed" Key "The secrets that were given do not open the backups of a core.";
    Unreadable "unreadable" Failed "A place cannot be read.";
}

impl ProblemKind {
    /// Of an archive that could not be opened.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        let is = |code: Code| failure.code() == code.name();
        match failure.kind() {
            FailureKind::Damaged if is(Code::Unsigned) || is(Code::Unproven) => {
                ProblemKind::Unsigned
            }
            // Two chains in one place: somebody has to say which is the right one.
            FailureKind::Damaged | FailureKind::Usage => ProblemKind::Damaged,
            FailureKind::Key => ProblemKind::Closed,
            _ => ProblemKind::Unreadable,
        }
    }
}

impl Serialize for ProblemKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
pub struct FleetProblem {
    /// What.
    pub kind: ProblemKind,
    /// The prefix that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<String>,
    /// In one line.
    pub message: Sentence,
}

impl FleetProblem {
    /// About the backups of a core.
    pub fn of(kind: ProblemKind, core: &str, message: impl Into<Sentence>) -> Self {
        FleetProblem {
            kind,
            core: Some(core.to_owned()),
            message: message.into(),
        }
    }

    /// About the platform as a whole.
    pub fn of_all(kind: ProblemKind, message: impl Into<Sentence>) -> Self {
        FleetProblem {
            kind,
            core: None,
            message: message.into(),
        }
    }
}

/// The gravest of some problems: what was tampered with counts for more than what is missing.
pub fn worst(problems: &[FleetProblem]) -> Option<FailureKind> {
    let order = [
        FailureKind::Damaged,
        FailureKind::Losses,
        FailureKind::Key,
        FailureKind::Failed,
    ];
    order
        .into_iter()
        .find(|kind| problems.iter().any(|one| one.kind.failure() == *kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_list_every_problem() {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
        let document = std::fs::read_to_string(place).unwrap();
        for (name, kind, meaning) in MEANINGS {
            let code = match kind {
                FailureKind::Damaged => 4,
                FailureKind::Losses => 5,
                FailureKind::Key => 3,
                _ => 1,
            };
            let line = format!("| `{name}` | {code} | {meaning} |");
            assert!(document.contains(&line), "{line}");
        }
    }

    #[test]
    fn tampering_is_graver_than_what_is_missing() {
        let of = |kinds: &[ProblemKind]| {
            let problems = kinds.iter().map(|kind| FleetProblem::of(*kind, "", ""));
            worst(&problems.collect::<Vec<_>>())
        };
        use ProblemKind::{Closed, Damaged, NoRun, Unreadable};
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[NoRun, Damaged]), Some(FailureKind::Damaged));
        assert_eq!(of(&[Closed, NoRun]), Some(FailureKind::Losses));
        assert_eq!(of(&[Unreadable, Closed]), Some(FailureKind::Key));
    }
}
