//! All users, in groups that are restored together: everybody at once where the platform is made ready for that, else some at a time,
//! several groups side by side. What fails together is done again apart, so whatever is wrong with a user costs that user alone.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    report::Outcome,
    restored_user::RestoredUser,
    selection::{Conflict, SelectedUser, Selection},
    user::RestoreSource,
};
use crate::limits::LIKELY_INFLATION;
use crate::threads::{self, lock, unlocked};
use crate::{
    advice::{Advice, Sentence},
    failure::Failure,
    interrupt,
    platform::write::{GroupWriter, PlatformWriter, RestoreError},
};

/// Stored bytes of the users of a group; more only where one user has more.
const GROUP: u64 = 4 << 20;

/// The restore of all users.
pub struct Users<'a> {
    /// The platform.
    pub writer: &'a dyn PlatformWriter,
    /// Where they come from.
    pub from: RestoreSource<'a>,
    /// Everybody of the archive.
    pub selection: &'a Selection,
    /// Those who cannot be restored, by user id.
    pub found: &'a BTreeMap<String, Conflict>,
    /// Somebody clashes, and the others are not to be restored then.
    pub stopped: bool,
}

/// A user to be restored, and its place in the archive.
type Numbered<'a> = (usize, &'a SelectedUser);

impl<'a> Users<'a> {
    /// Restores them; tells of each, in the order of the archive.
    pub fn restore(&self) -> Result<Vec<RestoredUser>, Failure> {
        let all = Mutex::new(Vec::with_capacity(self.selection.users.len()));
        let mut left: Vec<Numbered<'a>> = Vec::new();
        for (at, user) in self.selection.users.iter().enumerate() {
            match self.without(user) {
                Some(done) => self.add(&all, vec![(at, done)]),
                None => left.push((at, user)),
            }
        }
        // Rows that come in the order of their indexes cost the platform least.
        left.sort_by(|(_, a), (_, b)| a.target.user_id.cmp(&b.target.user_id));
        if !self.at_once(&left, &all) {
            self.in_groups(&left, &all);
        }
        let mut all = unlocked(all);
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, done)| done).collect())
    }

    /// One with whom nothing is to be done.
    fn without(&self, user: &SelectedUser) -> Option<RestoredUser> {
        let dry = self.from.options.dry_run;
        match self.found.get(&user.source.user_id) {
            Some(conflict) if conflict.restored_before && !dry => {
                Some(RestoredUser::restored_before(user, self.from.archive))
            }
            Some(conflict) => Some(RestoredUser::without(
                user,
                Outcome::Skipped,
                conflict.what.clone(),
            )),
            None if dry && self.stopped => Some(RestoredUser::without(
                user,
                Outcome::Skipped,
                Sentence::new(
                    "nobody is restored while others clash",
                    Advice::SkipConflicts,
                ),
            )),
            None => dry.then(|| RestoredUser::dry(user, self.from.archive)),
        }
    }

    fn add(&self, all: &Mutex<Vec<(usize, RestoredUser)>>, done: Vec<(usize, RestoredUser)>) {
        for _ in &done {
            self.from.tally.user();
        }
        lock(all).extend(done);
    }

    /// Everybody in one group; whether that came to an end.
    fn at_once(&self, users: &[Numbered<'a>], all: &Mutex<Vec<(usize, RestoredUser)>>) -> bool {
        let targets: Vec<_> = users.iter().map(|(_, user)| &user.target).collect();
        let replace = self.from.options.overwrite;
        let bytes = users.iter().map(|(_, user)| self.records(user)).sum();
        let Ok(Some(group)) = self.writer.begin_bulk(&targets, replace, bytes) else {
            return false;
        };
        match self.together(group, users) {
            Ok(done) => {
                self.add(all, done);
                true
            }
            Err(_) => false,
        }
    }

    fn in_groups(&self, users: &[Numbered<'a>], all: &Mutex<Vec<(usize, RestoredUser)>>) {
        let groups = self.groups(users);
        let next = AtomicUsize::new(0);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = self.from.options.jobs.map_or(cores.min(4), usize::from);
        threads::share(jobs.min(groups.len()), || {
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed))
                && interrupt::check().is_ok()
            {
                self.group(group, all);
            }
        });
    }

    /// As many users for each group as the platform takes, and as are of little size.
    fn groups<'u>(&self, mut users: &'u [Numbered<'a>]) -> Vec<&'u [Numbered<'a>]> {
        let most = self.writer.together();
        let mut groups = Vec::new();
        while !users.is_empty() {
            let mut size = 0;
            let fits = |(_, user): &&Numbered<'a>| {
                size += self.stored(user);
                size <= GROUP
            };
            let count = users.iter().take(most).take_while(fits).count().max(1);
            let (group, rest) = users.split_at(count);
            groups.push(group);
            users = rest;
        }
        groups
    }

    fn group(&self, users: &[Numbered<'a>], all: &Mutex<Vec<(usize, RestoredUser)>>) {
        let outcome = self.begin(users);
        match (outcome, users) {
            (Ok(done), _) => self.add(all, done),
            (Err(error), [(at, user)]) => {
                self.add(all, vec![(*at, RestoredUser::failed(user, &error))])
            }
            (Err(_), users) => {
                for user in users.chunks(1) {
                    if interrupt::check().is_ok() {
                        self.group(user, all);
                    }
                }
            }
        }
    }

    fn begin(&self, users: &[Numbered<'a>]) -> Result<Vec<(usize, RestoredUser)>, RestoreError> {
        let targets: Vec<_> = users.iter().map(|(_, user)| &user.target).collect();
        let replace = self.from.options.overwrite;
        self.together(self.writer.begin(&targets, replace)?, users)
    }

    /// Restores users who are committed together. After an error all of them are as before, and may be tried apart.
    fn together(
        &self,
        mut group: Box<dyn GroupWriter + '_>,
        users: &[Numbered<'a>],
    ) -> Result<Vec<(usize, RestoredUser)>, RestoreError> {
        let mut filled = Vec::with_capacity(users.len());
        for (_, user) in users {
            interrupt::check()?;
            filled.push(self.from.fill(group.as_mut(), user)?);
        }
        group.flush()?;
        for one in &filled {
            self.from.compare(group.as_mut(), one)?;
        }
        interrupt::check()?;
        let outcome = group.commit();
        let done = users.iter().zip(filled).enumerate();
        Ok(done
            .map(|(i, ((at, _), filled))| {
                let mut done = filled.done;
                let error = match &outcome {
                    Ok(outcomes) => outcomes.get(i).and_then(Option::as_ref),
                    Err(error) => Some(error),
                };
                if let Some(error) = error {
                    done.end_with(error);
                }
                (*at, done)
            })
            .collect())
    }

    /// Stored bytes of a user.
    fn stored(&self, user: &SelectedUser) -> u64 {
        let files = self.from.archive.files_of(&user.source.user_id);
        files.map(|file| file.size).sum()
    }

    /// Bytes of its records, about.
    fn records(&self, user: &SelectedUser) -> u64 {
        let files = self.from.archive.files_of(&user.source.user_id);
        let records = files.filter(|file| file.jsonl);
        records
            .map(|file| file.size * if file.gzip { LIKELY_INFLATION } else { 1 })
            .sum()
    }
}
