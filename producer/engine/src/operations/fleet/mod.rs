//! `fleet`: the backups of all cores of a platform, each below a prefix of its own: how old they are, and what is missing.

mod find;
mod look;
mod problem;
mod remember;
mod report;
mod user_core;
mod users;

use std::collections::{BTreeMap, btree_map::Entry};

use decryptor_wasm::signature::{Demands, Signed};

use self::{
    find::CorePrefix,
    look::{Looker, NewestRun},
    report::moment,
    user_core::UserCores,
    users::UserTable,
};
use crate::{
    advice::{Advice, Sentence},
    archive::read::Archive,
    failure::Failure,
    installation::Installation,
    observer::Observer,
    secrets::{Keys, Secrets},
    storage::Location,
    trust::Trust,
};

pub use problem::{FleetProblem, ProblemKind};
pub use report::{Fleet, FleetCore, FleetRun, PlatformCores};
pub use user_core::UserInNoBackup;
pub use users::UserOnCores;

/// Which backups are looked at, and with what.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The place below which each core has a prefix.
    pub dir: Location,
    /// Secrets that open the backups.
    pub keys: Keys,
    /// Whose backups are expected.
    pub trust: Trust,
    /// The age that the newest run of a core may have at most, in milliseconds.
    pub max_age: Option<i64>,
    /// Prefixes whose change since the last look is right.
    pub accept_change: Vec<String>,
    /// Where the configuration is that holds the key of the tokens that stand for names in the platform's own database.
    pub installation: Option<Installation>,
}

/// The work on one place.
struct Look<'a> {
    options: &'a Options,
    demands: &'a Demands,
    looker: Looker<'a>,
    users: UserTable,
    fleet: Fleet,
    /// The newest runs, beside the cores.
    runs: Vec<Option<NewestRun>>,
    /// Of the newest run that holds the platform's own entries: its time, and the number of its prefix.
    platform: Option<(i64, usize)>,
}

/// Looks at the backups of all cores.
///
/// # Errors
/// When there are none, or nothing could be proven of them.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Fleet, Failure> {
    let has_key = options.keys.given();
    let demands = options.trust.demands(has_key, None, observer)?;
    let config = options.installation.as_ref();
    let config = config.map(|installation| installation.load(false, observer));
    let prefixes = find::prefixes(&options.dir)?;
    if prefixes.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no backups: give the place below which each core has a folder or prefix of its own",
            options.dir
        )));
    }
    let mut look = Look {
        options,
        demands: &demands,
        looker: Looker {
            demands: &demands,
            has_key,
            secrets: Secrets::new(&options.keys, observer),
        },
        users: UserTable::new(config.transpose()?.map(|config| config.pii)),
        fleet: Fleet::of(&options.dir),
        runs: Vec::new(),
        platform: None,
    };
    for prefix in &prefixes {
        look.core(prefix)?;
    }
    let Fleet {
        cores,
        problems,
        notes,
        ..
    } = &mut look.fleet;
    remember::compare(options, cores, problems, notes)?;
    let groups = look.same();
    look.users.sort();
    look.twice(&groups)?;
    look.missing()?;
    Ok(look.fleet)
}

impl Look<'_> {
    /// Looks at one core.
    fn core(&mut self, prefix: &CorePrefix) -> Result<(), Failure> {
        let number = self.fleet.cores.len();
        let (users, platform) = (&mut self.users, &mut self.platform);
        let most = self.options.max_age.unwrap_or(i64::MAX);
        let now = self.demands.now;
        let is_recent = |created: i64| now.saturating_sub(created) <= most;
        let newest = self.looker.newest(
            prefix,
            &mut |archive, signed: &Signed| {
                let created = signed.statement.created;
                users.add(number as u32, is_recent(created), archive);
                if user_core::is_in(archive) && platform.is_none_or(|(known, _)| created > known) {
                    *platform = Some((created, number));
                }
                Ok(())
            },
            &mut self.fleet.problems,
        )?;
        let name = &prefix.name;
        if newest.as_ref().is_some_and(|run| run.overwritten) {
            let text = "objects were overwritten or deleted after they were written; they are read as they were at first, and `verify` names them";
            self.fleet.notes.push(Sentence::from(text).about(name));
        }
        let mut problem = |kind, text: String| {
            let message = Sentence::from(text).about(name);
            self.fleet
                .problems
                .push(FleetProblem::of(kind, name, message));
        };
        match &newest {
            None => problem(
                ProblemKind::NoRun,
                format!("{} holds no good run", prefix.place),
            ),
            Some(run) if !is_recent(run.signed.statement.created) => {
                let made = moment(run.signed.statement.created);
                let text = format!("its newest good run is of {made}, which is too old");
                problem(ProblemKind::TooOld, text);
            }
            Some(_) => {}
        }
        self.fleet.cores.push(FleetCore {
            prefix: name.clone(),
            core: newest
                .as_ref()
                .and_then(|run| run.signed.statement.core.clone()),
            archives: prefix.archives.len(),
            newest: newest.as_ref().map(|run| FleetRun::of(run, now)),
        });
        self.runs.push(newest);
        Ok(())
    }

    /// Names prefixes that hold the same, or name the same core; returns for each the first one that holds the same.
    fn same(&mut self) -> Vec<u32> {
        let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut groups: Vec<u32> = Vec::new();
        let cores = &self.fleet.cores;
        for (number, core) in cores.iter().enumerate() {
            groups.push(number as u32);
            let Some(newest) = &core.newest else { continue };
            let mut problem = |kind, text: String| {
                let message = Sentence::from(text).about(&core.prefix);
                self.fleet
                    .problems
                    .push(FleetProblem::of(kind, &core.prefix, message));
            };
            let first = match sources.entry(&newest.source) {
                Entry::Vacant(free) => {
                    free.insert(number);
                    None
                }
                Entry::Occupied(taken) => Some(*taken.get()),
            };
            if let Some(first) = first {
                groups[number] = first as u32;
                let other = &cores[first];
                let same = other.newest.as_ref();
                let same = same.is_some_and(|other| other.archive_id == newest.archive_id);
                let what = match same {
                    true => "holds the same backup as",
                    false => "its backups are of the same source as those of",
                };
                let text = format!("{what} {}: it is the same core twice", other.prefix);
                problem(ProblemKind::SameBackup, text);
                continue;
            }
            let Some(name) = &core.core else { continue };
            if let Some(first) = names.get(name.as_str()) {
                let other = &cores[*first].prefix;
                let text = format!("its runs name the core {name}, as those of {other} do");
                problem(ProblemKind::SameCore, text);
            } else {
                names.insert(name, number);
            }
        }
        groups
    }

    /// Names users who are on several cores.
    fn twice(&mut self, groups: &[u32]) -> Result<(), Failure> {
        let first = |prefix: u32| groups.get(prefix as usize).copied().unwrap_or(prefix);
        let twice = self.users.twice(first);
        let mut found = Vec::new();
        for number in &twice.cores {
            let number = *number as usize;
            let core = self.fleet.cores[number].prefix.clone();
            if let Some(archive) = self.open(number)? {
                users::occurrences(&archive, &twice.digests, &core, &mut found);
            }
        }
        let mut named = users::on_several_cores(&found);
        named.truncate(users::LISTED);
        self.fleet.more_users_on_two_cores = twice.users.saturating_sub(named.len());
        for user in &named {
            let text = format!(
                "user {} is on the cores {}",
                user.username,
                user.cores.join(", ")
            );
            let problem = FleetProblem::of_all(ProblemKind::TwoCores, text);
            self.fleet.problems.push(problem);
        }
        self.fleet.users_on_two_cores = named;
        Ok(())
    }

    /// The archive of a core again, where it was opened.
    fn open(&self, number: usize) -> Result<Option<Archive>, Failure> {
        let run = self.runs.get(number).and_then(Option::as_ref);
        let Some(run) = run.filter(|run| run.users.is_some()) else {
            return Ok(None);
        };
        let at = run.chain.then_some(run.signed.statement.run);
        self.looker.open(&run.place, at).map(Some)
    }

    /// Names users and cores that the platform knows and that have no backup.
    fn missing(&mut self) -> Result<(), Failure> {
        let closed = self.runs.iter().flatten().any(|run| run.users.is_none());
        if closed {
            let text = "how many users there are, who is on two cores and who is in no backup shows with the key of all backups";
            self.fleet.notes.push(Sentence::new(text, Advice::Key));
        }
        let Some((created, number)) = self.platform else {
            if !closed {
                let text = "no backup that is good holds the platform's own entries (user-core), so that nobody knows which users are in none";
                self.fleet.notes.push(Sentence::from(text));
            }
            return Ok(());
        };
        let Some(archive) = self.open(number)? else {
            return Ok(());
        };
        let found = user_core::read(&archive, &self.users)?;
        let known = |id: &String| {
            let mut cores = self.fleet.cores.iter();
            cores.any(|core| core.core.as_ref().unwrap_or(&core.prefix) == id)
        };
        // A run without a name may be of any core.
        let mut cores = self.fleet.cores.iter();
        let named = cores.all(|core| core.newest.is_none() || core.core.is_some());
        let lost = found.cores.iter().filter(|id| named && !known(id));
        let lost: Vec<String> = lost.cloned().collect();
        for id in lost {
            let text = format!("the platform has a core {id}, and no backup here is of it");
            let problem = FleetProblem::of_all(ProblemKind::CoreMissing, text);
            self.fleet.problems.push(problem);
        }
        self.fleet.platform = Some(PlatformCores {
            prefix: self.fleet.cores[number].prefix.clone(),
            made: moment(created),
            names: found.names,
            cores: found.cores.clone(),
        });
        // A user may be in the backup that was not opened.
        if !closed {
            self.not_backed_up(&found);
            self.fleet.users_in_no_backup = found.missing;
            self.fleet.more_users_in_no_backup = found.more;
        }
        Ok(())
    }

    fn not_backed_up(&mut self, found: &UserCores) {
        let problems = &mut self.fleet.problems;
        for user in &found.missing {
            let text = format!(
                "user {} is on the core {}, and in no backup that is new enough",
                user.name, user.core
            );
            problems.push(FleetProblem::of_all(ProblemKind::NotBackedUp, text));
        }
        if found.tokens > 0 {
            let text = format!(
                "the platform names {} users by tokens (platform.piiMode is hashed), so that nobody knows whether they are in a backup",
                found.tokens
            );
            let message = Sentence::new(text, Advice::ConfigOfTokens);
            problems.push(FleetProblem::of_all(ProblemKind::NamesUnknown, message));
        }
    }
}
