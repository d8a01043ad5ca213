//! `prune`: removes old backups from a folder of backups. It counts and removes only what somebody who is expected has signed, and what is whole;
//! the newest good backup without losses always stays.

mod keep;
mod proof;
mod pryv;
mod unit;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use self::unit::{Judge, Source, Unit, Units};
use super::{
    lock, print_json,
    secrets::{self, Secrets},
    verify,
};
use crate::{answer, note};
use crate::{cli::PruneArgs, failure::Failure, interrupt, state::Memory, text::printable};

/// A clock may be wrong by that.
const ALLOWED_AHEAD: SignedDuration = SignedDuration::from_mins(5);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pruned {
    dry_run: bool,
    kept: Vec<Listed>,
    removed: Vec<Listed>,
    /// Backups that are not known to be good: they fill no rule, and are left alone.
    unproven: Vec<Other>,
    /// What is no backup.
    left_alone: Vec<Other>,
    /// What an earlier run had begun to remove.
    completed: Vec<PathBuf>,
    /// What could not be removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Other>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    path: PathBuf,
    archive_id: String,
    /// The platform, or the user of it.
    source: Source,
    /// RFC 3339; of a chain, that of its newest run.
    time: String,
    losses: u64,
    why: Vec<&'static str>,
}

#[derive(Serialize)]
struct Other {
    path: PathBuf,
    why: String,
}

impl Listed {
    fn of(unit: &Unit, why: Vec<&'static str>) -> Self {
        Listed {
            path: unit.path.clone(),
            archive_id: unit.id.clone(),
            source: unit.source.clone(),
            time: unit.time.to_string(),
            losses: unit.losses,
            why,
        }
    }
}

/// Judges, decides, removes, and says so. Exit code 4 when there is no good backup, 5 when some are not known to be good.
pub fn run(args: &PruneArgs) -> Result<u8, Failure> {
    check(args)?;
    let _lock = lock(&args.dir, "another prune")?;
    let given = secrets::given(&args.key);
    let demands = args.trust.demands(given, None)?;
    let unsigned = demands.accept_unsigned && given;
    if demands.signers.is_empty() && !unsigned {
        return Err(Failure::usage(
            "nobody is expected to have signed backups, so none is known to be good: give --signer KEY (the report of a backup prints it)",
        ));
    }
    let now = Timestamp::now();
    let _graceful = interrupt::finish_gracefully();
    let mut judge = Judge {
        demands: &demands,
        state: args.trust.state.folder().ok(),
        secrets: given.then(|| Secrets::new(&args.key)),
        unsigned,
        jobs: verify::jobs(args.jobs),
        latest: now + ALLOWED_AHEAD,
    };
    let units = unit::find(&args.dir, &mut judge)?;
    if units.good.is_empty() && units.unproven.is_empty() && units.doomed.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no backup: give the folder in which backups lie",
            args.dir.display()
        )));
    }
    if units.good.is_empty() && !units.unproven.is_empty() {
        for (path, why) in &units.unproven {
            note!("{}", printable(&format!("{}: {why}", path.display())));
        }
        return Err(Failure {
            code: 4,
            message: "none of the backups is known to be good: nothing was removed".to_owned(),
        });
    }
    let pruned = prune(units, args, now)?;
    if args.json {
        print_json(&pruned)?;
    } else {
        show(&pruned);
    }
    Ok(match () {
        () if !pruned.failed.is_empty() => 1,
        () if !pruned.unproven.is_empty() => 5,
        () => 0,
    })
}

fn check(args: &PruneArgs) -> Result<(), Failure> {
    let keep = &args.keep;
    let some = keep.keep_last + keep.keep_daily + keep.keep_weekly + keep.keep_monthly > 0;
    if !some && keep.keep_within.is_none() {
        return Err(Failure::usage(
            "nothing would be kept: give --keep-last, --keep-within, --keep-daily, --keep-weekly or --keep-monthly",
        ));
    }
    if args.dir.join("manifest.json").exists() {
        return Err(Failure::usage(format!(
            "{} is a backup: give the folder in which backups lie",
            args.dir.display()
        )));
    }
    Ok(())
}

/// Removes what no rule keeps.
fn prune(units: Units, args: &PruneArgs, now: Timestamp) -> Result<Pruned, Failure> {
    let others = |list: Vec<(PathBuf, String)>| {
        let list = list.into_iter();
        list.map(|(path, why)| Other { path, why }).collect()
    };
    let mut pruned = Pruned {
        dry_run: args.dry_run,
        kept: Vec::new(),
        removed: Vec::new(),
        unproven: others(units.unproven),
        left_alone: others(units.others),
        completed: Vec::new(),
        failed: Vec::new(),
    };
    for path in units.doomed {
        if args.dry_run || pruned.remove(&path) {
            pruned.completed.push(path);
        }
    }
    // What is of another platform, or of one user only, does not take anybody's place.
    let mut sources: BTreeMap<&Source, Vec<&Unit>> = BTreeMap::new();
    for unit in &units.good {
        sources.entry(&unit.source).or_default().push(unit);
    }
    for units in sources.into_values() {
        let times: Vec<_> = units.iter().map(|unit| unit.time).collect();
        let reasons = keep::reasons(&times, &args.keep, now);
        let complete = units.iter().position(|unit| unit.losses == 0).unwrap_or(0);
        for (at, (unit, mut why)) in units.into_iter().zip(reasons).enumerate() {
            if at == complete {
                why.push("last good");
            }
            if !why.is_empty() {
                let mut kept = Listed::of(unit, why);
                // One that cannot have its name back is good under the other.
                if let (false, Ok(own)) = (args.dry_run, unit::keep(&unit.path)) {
                    kept.path = own;
                }
                pruned.kept.push(kept);
                continue;
            }
            if !args.dry_run {
                interrupt::failure()?;
                forget(args, unit)?;
            }
            if args.dry_run || pruned.remove(&unit.path) {
                pruned.removed.push(Listed::of(unit, why));
            }
        }
    }
    Ok(pruned)
}

impl Pruned {
    /// Whether it is gone; what is not does not keep the others.
    fn remove(&mut self, path: &Path) -> bool {
        let gone = unit::remove(path);
        if let Err(error) = &gone {
            self.failed.push(Other {
                path: path.to_owned(),
                why: format!("could not be removed: {error}; the next prune goes on with it"),
            });
        }
        gone.is_ok()
    }
}

/// The run that is made next in that folder does not miss what is removed here.
fn forget(args: &PruneArgs, unit: &Unit) -> Result<(), Failure> {
    let Ok(state) = args.trust.state.folder() else {
        return Ok(());
    };
    let forgotten = Memory::new(&state).forget(&unit.path, &unit.base);
    forgotten.map_err(|e| Failure::failed(format!("{}: {e}", state.display())))
}

fn show(pruned: &Pruned) {
    let line = |what: &str, listed: &Listed| {
        let why = match listed.why.as_slice() {
            [] => String::new(),
            why => format!(" ({})", why.join(", ")),
        };
        format!("{what} {}  {}{why}", listed.time, listed.path.display())
    };
    let removed = if pruned.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let kept = pruned.kept.iter().map(|listed| line("kept", listed));
    let gone = pruned.removed.iter().map(|listed| line(removed, listed));
    let begun = pruned.completed.iter();
    let begun = begun.map(|path| format!("{removed} {} (begun by an earlier run)", path.display()));
    for line in kept.chain(gone).chain(begun) {
        answer!("{}", printable(&line));
    }
    for other in &pruned.unproven {
        let line = format!(
            "not known to be good, left alone: {}: {}",
            other.path.display(),
            other.why
        );
        note!("{}", printable(&line));
    }
    for other in &pruned.left_alone {
        let line = format!("left alone: {}: {}", other.path.display(), other.why);
        note!("{}", printable(&line));
    }
    for other in &pruned.failed {
        let line = format!("{}: {}", other.path.display(), other.why);
        note!("{}", printable(&line));
    }
    answer!(
        "{} kept, {} {removed}",
        pruned.kept.len(),
        pruned.removed.len()
    );
}
