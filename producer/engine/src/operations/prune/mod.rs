//! `prune`: removes old backups from a folder of backups, or below a prefix of an object store. It counts and removes only what somebody who is expected has signed, and what is whole;
//! the newest good backup without losses always stays.

mod keep;
mod leftovers;
mod place;
mod proof;
mod pryv;
mod stored;
mod stored_backup;
mod unit;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use self::{
    place::BackupPlace,
    unit::{Checker, Unit, Units},
};
use crate::{
    advice::Advice,
    failure::{Failure, FailureKind},
    folders::lock,
    interrupt,
    observer::{Level, Observer},
    secrets::{Keys, Secrets},
    state::{self, Memory},
    storage::Location,
    threads,
    trust::Trust,
};

pub use self::{keep::Keep, leftovers::Leftovers, unit::BackupSource};

/// Which backups are removed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Folder in which backups lie, each in a folder of its own; or a prefix.
    pub dir: Location,
    /// Rules for what is kept.
    pub keep: Keep,
    /// Secrets that open backups.
    pub keys: Keys,
    /// Signers whose backups count.
    pub trust: Trust,
    /// Remove nothing.
    pub dry_run: bool,
    /// Files at once; none: one per core.
    pub jobs: Option<u16>,
}

/// A clock may be wrong by that.
const ALLOWED_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// Backups that were kept and removed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// Nothing was removed.
    pub dry_run: bool,
    /// Backups that stay.
    pub kept: Vec<ListedUnit>,
    /// Backups that are gone.
    pub removed: Vec<ListedUnit>,
    /// Backups that are not known to be good: they fill no rule, and are left alone.
    pub unproven: Vec<Other>,
    /// Files and folders that are no backups.
    pub left_alone: Vec<Other>,
    /// Backups that an earlier run had begun to remove.
    pub completed: Vec<PathBuf>,
    /// What runs left in an object store that were not finished, and to which nothing was added for long: it is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<Leftovers>,
    /// Backups that no rule keeps, and that cannot go yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Other>,
    /// Backups that could not be removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Other>,
}

/// A good backup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedUnit {
    /// Its folder.
    pub path: PathBuf,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// The platform, or the user of it.
    pub source: BackupSource,
    /// RFC 3339; of a chain, that of its newest run.
    pub time: String,
    /// How many losses it names.
    pub losses: u64,
    /// The rules that keep it.
    pub why: Vec<&'static str>,
}

/// Something else in the folder.
#[derive(Debug, Serialize)]
pub struct Other {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is left alone.
    pub why: String,
}

impl ListedUnit {
    fn of(unit: &Unit, why: Vec<&'static str>) -> Self {
        ListedUnit {
            path: unit.path.clone(),
            archive_id: unit.id.clone(),
            source: unit.source.clone(),
            time: unit.time.to_string(),
            losses: unit.losses,
            why,
        }
    }
}

/// Verifies the backups, decides which are kept, and removes the others.
///
/// # Errors
/// When there is no good backup, or what is asked would keep none.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Pruned, Failure> {
    check(options)?;
    let _lock = match options.dir.folder() {
        Some(dir) => Some(lock(dir, "another prune")?),
        None => None,
    };
    let given = options.keys.given();
    let demands = options.trust.demands(given, None, observer)?;
    let unsigned = demands.accept_unsigned && given;
    if demands.signers.is_empty() && !unsigned {
        return Err(Failure::usage(
            "nobody is expected to have signed backups, so none is known to be good",
        )
        .advise(Advice::Signer));
    }
    let now = Timestamp::now();
    let _graceful = interrupt::finish_gracefully();
    let mut checker = Checker {
        demands: &demands,
        state: state::folder(options.trust.state_dir.as_deref()).ok(),
        secrets: given.then(|| Secrets::new(&options.keys, observer)),
        unsigned,
        jobs: threads::count(options.jobs),
        now,
        latest: now + ALLOWED_AHEAD,
    };
    let units = match &options.dir {
        Location::Store(address) => stored::find(address, &mut checker)?,
        dir => unit::find(dir.require_folder()?, &mut checker)?,
    };
    let none = units.good.is_empty() && units.unproven.is_empty();
    if none && units.doomed.is_empty() && units.leftovers.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no backup: give the folder in which backups lie",
            options.dir
        )));
    }
    if units.good.is_empty() && !units.unproven.is_empty() {
        for (path, why) in &units.unproven {
            observer.tell(Level::Info, &format!("{}: {why}", path.display()));
        }
        return Err(Failure::damaged(
            "none of the backups is known to be good: nothing was removed",
        ));
    }
    prune(units, options, now)
}

fn check(options: &Options) -> Result<(), Failure> {
    let keep = &options.keep;
    let some = keep.last + keep.daily + keep.weekly + keep.monthly > 0;
    if !some && keep.within.is_none() {
        return Err(Failure::usage("nothing would be kept").advise(Advice::KeepRules));
    }
    let dir = options.dir.folder();
    if dir.is_some_and(|dir| dir.join("manifest.json").exists()) {
        return Err(Failure::usage(format!(
            "{} is a backup: give the folder in which backups lie",
            options.dir
        )));
    }
    Ok(())
}

/// Removes what no rule keeps.
fn prune(units: Units, options: &Options, now: Timestamp) -> Result<Pruned, Failure> {
    let others = |list: Vec<(PathBuf, String)>| {
        let list = list.into_iter();
        list.map(|(path, why)| Other { path, why }).collect()
    };
    let mut pruned = Pruned {
        dry_run: options.dry_run,
        kept: Vec::new(),
        removed: Vec::new(),
        unproven: others(units.unproven),
        left_alone: others(units.others),
        completed: Vec::new(),
        leftovers: Vec::new(),
        held: Vec::new(),
        failed: Vec::new(),
    };
    for (path, place) in units.doomed {
        if pruned.remove(&path, &place)? {
            pruned.completed.push(path);
        }
    }
    for left in units.leftovers {
        pruned.clear(left)?;
    }
    // Backups of another platform, or of one user only, are counted by themselves.
    let mut sources: BTreeMap<&BackupSource, Vec<&Unit>> = BTreeMap::new();
    for unit in &units.good {
        sources.entry(&unit.source).or_default().push(unit);
    }
    for units in sources.into_values() {
        let times: Vec<_> = units.iter().map(|unit| unit.time).collect();
        let reasons = keep::reasons(&times, &options.keep, now);
        let complete = units.iter().position(|unit| unit.losses == 0).unwrap_or(0);
        for (at, (unit, mut why)) in units.into_iter().zip(reasons).enumerate() {
            if at == complete {
                why.push("last good");
            }
            if !why.is_empty() {
                let mut kept = ListedUnit::of(unit, why);
                // One that cannot have its name back is good under the other.
                if let (false, Ok(own)) = (options.dry_run, unit.place.keep(&unit.path)) {
                    kept.path = own;
                }
                pruned.kept.push(kept);
                if let Some(left) = unit.place.leftovers() {
                    pruned.clear(left)?;
                }
                continue;
            }
            if pruned.is_held(&unit.path, &unit.place) {
                continue;
            }
            if !options.dry_run {
                Failure::unless_interrupted()?;
                forget(options, unit)?;
            }
            if pruned.remove(&unit.path, &unit.place)? {
                pruned.removed.push(ListedUnit::of(unit, why));
            }
        }
    }
    Ok(pruned)
}

impl Pruned {
    /// Whether something could not be removed, or some backups are not known to be good.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        match () {
            () if !self.failed.is_empty() => Some(FailureKind::Failed),
            () if !self.unproven.is_empty() || !self.held.is_empty() => Some(FailureKind::Losses),
            () => None,
        }
    }

    /// Whether a backup cannot go now, and is named for that.
    fn is_held(&mut self, path: &Path, place: &BackupPlace) -> bool {
        match place.held() {
            Ok(None) => return false,
            Ok(Some(why)) => self.hold(path, why),
            Err(why) => self.fail(path, &why),
        }
        true
    }

    /// Removes a backup and says whether it is gone; one that is not does not keep the others.
    fn remove(&mut self, path: &Path, place: &BackupPlace) -> Result<bool, Failure> {
        if self.dry_run {
            return Ok(true);
        }
        match place.remove(path) {
            Ok(None) => return Ok(true),
            Ok(Some(why)) => self.hold(path, why),
            Err(why) => {
                Failure::unless_interrupted()?;
                self.fail(path, &why);
            }
        }
        Ok(false)
    }

    /// Removes what runs left that were not finished.
    fn clear(&mut self, left: Leftovers) -> Result<(), Failure> {
        let done = match left.held() {
            Ok(None) if !self.dry_run => left.remove(),
            held => held,
        };
        match done {
            Ok(None) => self.leftovers.push(left),
            Ok(Some(why)) => self.hold(
                &left.path,
                format!("left by a run that was not finished, and {why}"),
            ),
            Err(why) => {
                Failure::unless_interrupted()?;
                self.fail(&left.path, &why);
            }
        }
        Ok(())
    }

    fn hold(&mut self, path: &Path, why: String) {
        self.held.push(Other {
            path: path.to_owned(),
            why,
        });
    }

    fn fail(&mut self, path: &Path, why: &str) {
        self.failed.push(Other {
            path: path.to_owned(),
            why: format!("could not be removed: {why}; the next prune goes on with it"),
        });
    }
}

/// The run that is made next in that folder does not miss what is removed here.
fn forget(options: &Options, unit: &Unit) -> Result<(), Failure> {
    let Ok(state) = state::folder(options.trust.state_dir.as_deref()) else {
        return Ok(());
    };
    let forgotten = Memory::new(&state).forget(&unit.place.location(&unit.path), &unit.base);
    forgotten.map_err(|e| Failure::failed(format!("{}: {e}", state.display())))
}
