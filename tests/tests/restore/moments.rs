//! How far a restore has come, as it shows from outside: by that it is stopped at a certain moment, however fast the machine is.

use pryv_backup_tests::{
    session::Session,
    stage::{Platform, Stage},
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

/// The visible states of a restore, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Nothing.
    Start,
    /// It has come to the platform.
    Begun,
    /// It writes what nobody sees yet.
    Writing,
    /// A user is decided to stand.
    Stands,
}

/// All of them.
pub const MOMENTS: [Moment; 4] = [
    Moment::Start,
    Moment::Begun,
    Moment::Writing,
    Moment::Stands,
];

/// Looks at a platform while a restore is at work there.
pub struct Watch<'p> {
    users: &'p Path,
    session: Option<Session>,
    /// The state before the restore.
    stood: BTreeSet<u64>,
    rows: String,
    reached: Moment,
}

/// The transactions of a restore, and those that wrote the users.
const SEEN: &str = "SET lock_timeout = 50; \
    SELECT count(*), count(backend_xid) FROM pg_stat_activity \
    WHERE application_name = 'pryv-backup' AND datname = current_database(); \
    SELECT coalesce(string_agg(xmin::text, ' ' ORDER BY user_id), '-') FROM users_index";

impl<'p> Watch<'p> {
    /// Before the restore begins.
    pub fn new(stage: &Stage, platform: &'p Platform<'_>) -> Self {
        let mut watch = Self {
            users: &platform.users,
            session: platform
                .database
                .as_ref()
                .map(|_| Session::of(stage, platform)),
            stood: stores(&platform.users),
            rows: String::new(),
            reached: Moment::Start,
        };
        if let Some(session) = &mut watch.session {
            let seen = session.sql(SEEN);
            watch.rows = seen.lines().nth(1).unwrap().to_owned();
        }
        watch
    }

    /// The last moment that has come.
    pub fn reached(&mut self) -> Moment {
        let now = match &mut self.session {
            None => of_files(self.users, &self.stood),
            Some(session) => {
                let seen = session.sql(SEEN);
                let mut lines = seen.lines();
                let backends = lines.next().unwrap_or_default();
                match (backends, lines.next()) {
                    (_, Some(rows)) if rows != self.rows => Moment::Stands,
                    // A base in files beside the database.
                    _ if stores(self.users) != self.stood => Moment::Stands,
                    ("0|0", _) => Moment::Start,
                    (some, _) if some.ends_with("|0") => Moment::Begun,
                    _ => Moment::Writing,
                }
            }
        };
        self.reached = self.reached.max(now);
        self.reached
    }

    /// Waits for a moment, or for the end.
    pub fn wait_for(&mut self, moment: Moment, run: &mut Child) {
        while self.reached() < moment && run.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
    }
}

/// Where no database tells more.
fn of_files(users: &Path, stood: &BTreeSet<u64>) -> Moment {
    let aside = users.join(".pryv-backup-restore");
    let Ok(entries) = fs::read_dir(&aside) else {
        return match stores(users) == *stood {
            true => Moment::Start,
            false => Moment::Stands,
        };
    };
    if stores(users) != *stood {
        return Moment::Stands;
    }
    let mut names = entries.flatten().map(|entry| entry.file_name());
    match names.any(|name| name.to_string_lossy().starts_with("files-")) {
        true => Moment::Writing,
        false => Moment::Begun,
    }
}

/// Which files of events there are: others when a user was put in place.
fn stores(users: &Path) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut folders = vec![users.to_owned()];
    while let Some(folder) = folders.pop() {
        // A file that is deleted meanwhile is skipped.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            match entry.metadata() {
                // Neither what lies aside, nor what is many.
                Ok(about)
                    if about.is_dir()
                        && name != ".pryv-backup-restore"
                        && name != "attachments" =>
                {
                    folders.push(entry.path());
                }
                Ok(about) if name == "local-1.0.0.sqlite" => {
                    found.insert(about.ino());
                }
                _ => {}
            }
        }
    }
    found
}

/// How long it takes from each moment to the next, in a run that is only looked at.
pub struct Pace([Duration; MOMENTS.len()]);

impl Pace {
    /// Looks at a run to its end.
    pub fn of(watch: &mut Watch<'_>, run: &mut Child) -> Self {
        let mut came = [None; MOMENTS.len()];
        let started = Instant::now();
        while run.try_wait().unwrap().is_none() {
            let reached = watch.reached();
            for moment in MOMENTS {
                if moment <= reached {
                    came[moment as usize].get_or_insert(started.elapsed());
                }
            }
        }
        let mut next = started.elapsed();
        let mut pace = [Duration::ZERO; MOMENTS.len()];
        for (at, came) in came.iter().enumerate().rev() {
            let came = came.unwrap_or(next);
            pace[at] = next - came;
            next = came;
        }
        Self(pace)
    }

    /// Waits for a moment, and then for a part of the time that it took to the next one.
    pub fn wait(&self, watch: &mut Watch<'_>, moment: Moment, part: f64, run: &mut Child) {
        watch.wait_for(moment, run);
        std::thread::sleep(self.0[moment as usize].mul_f64(part));
    }
}
