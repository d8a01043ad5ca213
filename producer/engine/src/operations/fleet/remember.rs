//! What was seen at the last look, held against what is there now.

use std::path::Path;

use super::{
    FleetCore, Options,
    problem::{FleetProblem, ProblemKind},
};
use crate::{
    advice::{Advice, Sentence},
    failure::Failure,
    state::{self, Fleets, SeenCore, SeenCores},
};

/// Compares, and takes note of what is right. A change is named at every look until it is accepted.
///
/// # Errors
/// When what was noted cannot be read, or a prefix is accepted that there is none of.
pub fn compare(
    options: &Options,
    cores: &[FleetCore],
    problems: &mut Vec<FleetProblem>,
    notes: &mut Vec<Sentence>,
) -> Result<(), Failure> {
    let opened = state::folder(options.trust.state_dir.as_deref()).and_then(|folder| {
        let fleets = Fleets::open(&folder);
        fleets.map_err(|e| format!("{}: {e}", folder.display()))
    });
    let fleets = match opened {
        Ok(fleets) => fleets,
        Err(why) => {
            let text = format!(
                "{why}: what is seen now is not remembered, so that nobody notices when it changes"
            );
            notes.push(Sentence::new(text, Advice::StateDir));
            return Ok(());
        }
    };
    let place = absolute(options);
    let failed = |e: std::io::Error| Failure::failed(e.to_string());
    let before = fleets.of(&place).map_err(failed)?;
    let is_there =
        |name: &String| before.contains_key(name) || cores.iter().any(|core| core.prefix == *name);
    if let Some(unknown) = options.accept_change.iter().find(|name| !is_there(name)) {
        return Err(Failure::usage(format!(
            "{unknown}: there is no such prefix below {}, and was none at the last look",
            options.dir
        )));
    }
    let mut now = before.clone();
    for core in cores {
        let Some(seen) = seen(core) else { continue };
        let changes = match before.get(&core.prefix) {
            Some(before) if !options.accept_change.contains(&core.prefix) => {
                changes(&core.prefix, before, &seen)
            }
            _ => Vec::new(),
        };
        if changes.is_empty() {
            now.insert(core.prefix.clone(), seen);
        }
        problems.extend(changes);
    }
    gone(options, cores, &mut now, problems);
    if now != before {
        fleets.put(&place, now).map_err(failed)?;
    }
    Ok(())
}

/// Names the prefixes that were there at the last look and hold nothing now.
fn gone(
    options: &Options,
    cores: &[FleetCore],
    now: &mut SeenCores,
    problems: &mut Vec<FleetProblem>,
) {
    now.retain(|name, _| {
        if cores.iter().any(|core| core.prefix == *name) {
            return true;
        }
        if options.accept_change.contains(name) {
            return false;
        }
        let text = "was there at the last look, and holds nothing any more";
        let message = Sentence::new(text, Advice::AcceptChange).about(name);
        problems.push(FleetProblem::of(ProblemKind::Gone, name, message));
        true
    });
}

fn seen(core: &FleetCore) -> Option<SeenCore> {
    let newest = core.newest.as_ref()?;
    Some(SeenCore {
        source: newest.source.clone(),
        core: core.core.clone(),
        signer: newest.signer.clone(),
        created: newest.created,
    })
}

fn changes(name: &str, before: &SeenCore, now: &SeenCore) -> Vec<FleetProblem> {
    let problem = |kind, text: String| {
        let message = Sentence::new(text, Advice::AcceptChange).about(name);
        FleetProblem::of(kind, name, message)
    };
    let mut changes = Vec::new();
    let called = |core: &Option<String>| core.clone().unwrap_or_else(|| "none".to_owned());
    // Who has other backups there has also another signer and another time.
    if before.source != now.source {
        changes.push(problem(
            ProblemKind::SourceChanged,
            format!(
                "its backups may have been replaced: their source is {}, and was {} at the last look",
                now.source, before.source
            ),
        ));
        return changes;
    }
    if before.core != now.core && before.core.is_some() {
        changes.push(problem(
            ProblemKind::CoreChanged,
            format!(
                "its newest run is of the core {}, and was of {} at the last look",
                called(&now.core),
                called(&before.core)
            ),
        ));
    }
    if before.signer != now.signer {
        changes.push(problem(
            ProblemKind::SignerChanged,
            format!(
                "its newest run is signed by {}, and was by {} at the last look",
                now.signer, before.signer
            ),
        ));
    }
    if before.created > now.created {
        changes.push(problem(
            ProblemKind::RolledBack,
            "its newest good run is older than that of the last look: later ones were removed or are damaged".to_owned(),
        ));
    }
    changes
}

/// The same place has one name, from wherever it is looked at.
fn absolute(options: &Options) -> String {
    let folder = options.dir.folder();
    let path = folder.and_then(|folder| std::fs::canonicalize(folder).ok());
    path.as_deref()
        .map(Path::display)
        .map_or_else(|| options.dir.to_string(), |path| path.to_string())
}
