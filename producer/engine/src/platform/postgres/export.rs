//! The export of users: readers make records, workers hand them over.

use super::large;
use super::merge::{self, Merge};
use super::plan::MergePlan;
use super::series;
use super::since::Since;
use super::stored;
use super::work::{Feed, Open, Piece, Pieces, Queue};
use super::{LARGE, PostgresPlatform, Snapshot, beside::FilesBeside, files::Live};
use crate::platform::attachments::AttachmentSource;
use crate::platform::sqlite::{UsernameOwners, reading::Reading, without_owner};
use crate::platform::{Attachment, Collection, ExportError, PlatformLoss, Target, User, UserSink};
use crate::threads::refused;
use std::collections::{HashMap, HashSet};
use std::thread::Builder;

/// What workers ask for the platform as it is now.
struct Asks<'a> {
    live: Live<'a>,
    files: FilesBeside<'a>,
    /// The names that several users bore.
    owners: UsernameOwners,
}

impl PostgresPlatform {
    /// Does the tasks of a worker.
    fn run(&self, asks: &Asks<'_>, open: &Open<'_>, pieces: Pieces) -> Result<(), ExportError> {
        let mut sink = open.target.sink();
        let mut lines = pieces.lines.as_slice();
        for piece in pieces.list {
            match piece {
                Piece::Records(collection, length, count) => {
                    let these = lines.split_off(..length).unwrap_or_default();
                    sink.records(collection, these, count)
                        .map_err(ExportError::Sink)?;
                }
                Piece::Loss(loss) => sink.loss(loss).map_err(ExportError::Sink)?,
                Piece::StreamPath(id, path) => {
                    sink.stream_path(&id, &path).map_err(ExportError::Sink)?
                }
                Piece::Stored(file, content) => sink
                    .attachment(&file, Some(content.len() as u64), &mut content.as_slice())
                    .map_err(ExportError::Sink)?,
                Piece::Stream(file, parts) => {
                    let mut content = stored::ContentParts::new(parts);
                    sink.attachment(&file, None, &mut content)
                        .map_err(ExportError::Sink)?;
                    content.drain();
                }
                Piece::Present(collection, keys) => {
                    sink.present(collection, &keys).map_err(ExportError::Sink)?
                }
                Piece::Unreadable(collection, key, again) => sink
                    .unreadable(collection, &key, again)
                    .map_err(ExportError::Sink)?,
                Piece::Attachments(list) => {
                    let still = |file: &Attachment| asks.live.lists(&open.user.user_id, file);
                    let place = self.files.attachments();
                    place.hand_over(open.user, &list, &still, sink.as_mut())?;
                }
                Piece::Stores => self.stores(asks, open.user, sink.as_mut())?,
            }
        }
        sink.flush().map_err(ExportError::Sink)
    }

    /// What is not in the database.
    fn stores(
        &self,
        asks: &Asks<'_>,
        user: &User,
        sink: &mut dyn UserSink,
    ) -> Result<(), ExportError> {
        let reading = &mut Reading { user, sink };
        if !self.engines.base {
            let attachments: &dyn AttachmentSource = match self.engines.files {
                true => &asks.files,
                false => self.files.attachments(),
            };
            self.files.export_base(attachments, reading)?;
        }
        if !self.engines.audit {
            self.files.export_audit(reading)?;
        }
        let owner = |ids: &[String], event: &str| asks.live.owner(ids, event);
        match (self.engines.series, self.engines.base) {
            (true, _) => Ok(()),
            (false, true) => self.files.export_series(&asks.owners, &owner, reading),
            (false, false) => self.files.export_own_series(reading),
        }
    }

    /// Connections that are left: now, and after this export has taken those that it needs.
    fn spare(&self, snapshot: &Snapshot, jobs: usize) -> Result<[usize; 2], ExportError> {
        let spare = snapshot.connection.spare()?;
        // One more looks at events that may have changed meanwhile, or each worker reads the files that events list.
        let others = match (self.engines.base, self.engines.files) {
            (true, _) => 1,
            (false, true) => jobs,
            (false, false) => 0,
        };
        let needed = Merge::connections(self.engines) + others;
        match spare.checked_sub(needed) {
            Some(left) => Ok([spare, left]),
            None => Err(ExportError::Platform(self.server.error(format!(
                "{needed} connections are needed besides this one, and {spare} are left; \
                 raise its max_connections (or the user's CONNECTION LIMIT), or stop what else uses it"
            )))),
        }
    }

    /// The names that several users bore. What is kept under them and nobody's is a loss.
    fn owners(
        &self,
        snapshot: &Snapshot,
        target: &dyn Target,
    ) -> Result<UsernameOwners, ExportError> {
        let pairs = |sql: &str| snapshot.connection.pairs(sql);
        let mut owners = UsernameOwners::new();
        if !self.engines.base {
            return Ok(owners);
        }
        for (name, id) in pairs(&series::shared(snapshot.aliases))? {
            let by = owners.entry(name.clone()).or_default();
            by.now |= snapshot.users.iter().any(|user| user.username == name);
            by.ids.push(id);
        }
        if self.engines.series && !owners.is_empty() {
            for (namespace, measurement) in pairs(&series::without_owner(snapshot.aliases))? {
                target.lose(PlatformLoss {
                    user_id: None,
                    collection: Some(Collection::Series.name().to_owned()),
                    path: Some(format!("series_data: {namespace}")),
                    what: without_owner(&measurement),
                });
            }
        }
        Ok(owners)
    }

    pub(super) fn export(
        &self,
        snapshot: &Snapshot,
        users: &[User],
        jobs: usize,
        target: &dyn Target,
    ) -> Result<(), ExportError> {
        let by_id: HashMap<&str, &User> = users.iter().map(|u| (u.user_id.as_str(), u)).collect();
        let engines = self.engines;
        self.look_for_files(snapshot, target)?;
        let owners = self.owners(snapshot, target)?;
        let mut plan = MergePlan {
            seen: &self.files.seen,
            aliases: snapshot.aliases,
            shared_names: !owners.is_empty(),
            server: &self.server,
            snapshot: &snapshot.name,
            tables: &snapshot.tables,
            engines,
            chosen: (users.len() < snapshot.users.len()).then(|| by_id.keys().copied().collect()),
            since: Since::new(users, target),
            large: HashMap::new(),
            exhausted: HashSet::new(),
            cuts: HashMap::new(),
        };
        let mut early = HashMap::new();
        for (table, _) in engines.of(&LARGE) {
            for id in large::find(&snapshot.connection, table)? {
                if let Some((id, user)) = by_id.get_key_value(id.as_str()) {
                    plan.large.entry(table).or_default().push(*id);
                    if !early.contains_key(id) {
                        early.insert(*id, merge::begin(user, target)?);
                    }
                }
            }
            if let Some(ids) = plan.large.get(table)
                && !large::has_others(&snapshot.connection, table, ids)?
            {
                plan.exhausted.insert(table);
            }
        }
        let [spare, left] = self.spare(snapshot, jobs)?;
        let readers = jobs.min(spare - 1);
        let mut sorted: Vec<&User> = users.iter().collect();
        sorted.sort_by(|a, b| a.user_id.cmp(&b.user_id));
        plan.cut(&snapshot.connection, &sorted, jobs, left)?;

        let asks = Asks {
            live: Live::new(&self.server),
            files: FilesBeside::new(&self.server),
            owners,
        };
        let (queue, sender) = Queue::new(jobs);
        std::thread::scope(|scope| {
            for at in 0..jobs {
                let work = || queue.work(|open, pieces| self.run(&asks, open, pieces));
                match Builder::new().spawn_scoped(scope, work) {
                    Err(e) if at == 0 => return queue.fail(self.server.error(refused(&e)).into()),
                    Err(_) => break,
                    Ok(_) => {}
                }
            }
            let feed = Feed::new(sender, &queue);
            let read = || {
                for table in LARGE {
                    large::read(&plan, table, &early, readers, &feed)?;
                }
                Merge::new(&plan)?.run(&plan, &sorted, early, target, &feed)
            };
            if let Err(error) = read() {
                queue.fail(error);
            }
        });
        queue.outcome()
    }
}
