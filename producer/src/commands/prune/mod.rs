//! `prune`: removes old backups from a folder of backups, never the last good one, and nothing that is no backup.

mod keep;
mod unit;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use self::unit::{Unit, Units};
use super::{lock, print_json, verify};
use crate::{answer, note};
use crate::{cli::PruneArgs, failure::Failure, interrupt, report::printable};

/// A clock may be wrong by that.
const ALLOWED_AHEAD: SignedDuration = SignedDuration::from_hours(24);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pruned {
    dry_run: bool,
    kept: Vec<Listed>,
    removed: Vec<Listed>,
    /// Damaged backups that were met before a good one was found; they are left alone.
    damaged: Vec<Listed>,
    /// Backups that say that they are yet to be made: they fill no rule, and are left alone.
    future: Vec<Listed>,
    /// What is no backup.
    left_alone: Vec<Other>,
    /// What an earlier run had begun to remove.
    completed: Vec<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    path: PathBuf,
    archive_id: String,
    /// RFC 3339.
    time: String,
    /// `envelope`, `manifest`, or `file` (when manifest.json was written); of a chain, those of its newest run.
    time_from: &'static str,
    why: Vec<String>,
}

#[derive(Serialize)]
struct Other {
    path: PathBuf,
    why: String,
}

impl Listed {
    fn of(unit: &Unit, why: Vec<String>) -> Self {
        Listed {
            path: unit.path.clone(),
            archive_id: unit.id.clone(),
            time: unit.time.to_string(),
            time_from: unit.time_from,
            why,
        }
    }
}

/// Decides, verifies, removes, and says so. Exit code 4 when there is no good backup, 5 when damaged ones were met, or some from the
/// future.
pub fn run(args: &PruneArgs) -> Result<u8, Failure> {
    let keep = &args.keep;
    if keep.keep_last + keep.keep_daily + keep.keep_weekly + keep.keep_monthly == 0 {
        return Err(Failure::usage(
            "nothing would be kept: give --keep-last, --keep-daily, --keep-weekly or --keep-monthly",
        ));
    }
    if args.dir.join("manifest.json").exists() {
        return Err(Failure::usage(format!(
            "{} is a backup: give the folder in which backups lie",
            args.dir.display()
        )));
    }
    let _lock = lock(&args.dir, "another prune")?;
    let Units {
        mut archives,
        others,
        doomed,
    } = unit::find(&args.dir)?;
    if archives.is_empty() && doomed.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no backup: give the folder in which backups lie",
            args.dir.display()
        )));
    }
    let future = take_future(&mut archives);
    let damaged = take_damaged(&mut archives, args)?;
    let times: Vec<_> = archives.iter().map(|unit| unit.time).collect();
    let reasons = keep::reasons(&times, keep);
    let mut pruned = Pruned {
        dry_run: args.dry_run,
        kept: Vec::new(),
        removed: Vec::new(),
        damaged,
        future,
        left_alone: others
            .into_iter()
            .map(|(path, why)| Other { path, why })
            .collect(),
        completed: Vec::new(),
    };
    let _graceful = interrupt::finish_gracefully();
    for path in doomed {
        if !args.dry_run {
            remove(&path)?;
        }
        pruned.completed.push(path);
    }
    for (at, (unit, why)) in archives.iter().zip(reasons).enumerate() {
        let mut why: Vec<String> = why.into_iter().map(str::to_owned).collect();
        if at == 0 {
            why.push("last good".to_owned());
        }
        if !why.is_empty() {
            pruned.kept.push(Listed::of(unit, why));
            continue;
        }
        if !args.dry_run {
            interrupt::failure()?;
            remove(&unit.path)?;
        }
        pruned.removed.push(Listed::of(unit, why));
    }
    if args.json {
        print_json(&pruned)?;
    } else {
        show(&pruned);
    }
    let clean = pruned.damaged.is_empty() && pruned.future.is_empty();
    Ok(if clean { 0 } else { 5 })
}

/// Takes out those that are dated later than clocks can be apart: one of them would pass for the newest, and the newest would go.
fn take_future(archives: &mut Vec<Unit>) -> Vec<Listed> {
    let latest = Timestamp::now() + ALLOWED_AHEAD;
    // Newest first.
    let count = archives.partition_point(|unit| unit.time > latest);
    let future = archives.drain(..count);
    let why = || vec!["dated in the future".to_owned()];
    future.map(|unit| Listed::of(&unit, why())).collect()
}

/// Verifies from the newest on until one is good, which is then the first of `archives`; those before it are taken out.
fn take_damaged(archives: &mut Vec<Unit>, args: &PruneArgs) -> Result<Vec<Listed>, Failure> {
    let mut damaged = Vec::new();
    while let Some(unit) = archives.first() {
        match verify::without_key(&unit.path, args.jobs) {
            Ok(()) => return Ok(damaged),
            Err(why) => damaged.push(Listed::of(unit, vec![why])),
        }
        archives.remove(0);
    }
    if damaged.is_empty() {
        // Only leftovers are there.
        return Ok(damaged);
    }
    for listed in &damaged {
        let line = format!("{}: {}", listed.path.display(), listed.why.join("; "));
        note!("{}", printable(&line));
    }
    Err(Failure {
        code: 4,
        message: "none of the backups is known to be good: nothing was removed".to_owned(),
    })
}

fn remove(path: &std::path::Path) -> Result<(), Failure> {
    unit::remove(path).map_err(|e| {
        Failure::failed(format!(
            "{} could not be removed: {e}; the next prune goes on with it",
            path.display()
        ))
    })
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
    for listed in &pruned.damaged {
        note!("{}", printable(&line("damaged, left alone:", listed)));
    }
    for listed in &pruned.future {
        note!("{}", printable(&line("left alone:", listed)));
    }
    for other in &pruned.left_alone {
        let line = format!("left alone: {}: {}", other.path.display(), other.why);
        note!("{}", printable(&line));
    }
    answer!(
        "{} kept, {} {removed}",
        pruned.kept.len(),
        pruned.removed.len()
    );
}
