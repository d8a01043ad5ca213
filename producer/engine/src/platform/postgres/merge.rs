//! All tables at once, each ordered by user, merged as they stream: the number of statements does not grow with the
//! number of users.

use super::account::{self, Account, Shapes};
use super::bundle::Bundle;
use super::connection::{Connection, copies};
use super::copy::{Copy, Row};
use super::plan::MergePlan;
use super::series::{self, SeriesLine};
use super::shape::Shape;
use super::stored;
use super::work::{Feed, Open, TaskGroup};
use super::{DatabaseEngines, TABLES, files};
use crate::platform::unknown::ExportNotes;
use crate::platform::{Collection, ExportError, PlatformError, Target, User};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// For every connection of the merge: rows are sorted, because index order reads the table in leaps, at twice the cost.
const SORTED: &str = "SET LOCAL enable_indexscan = off; SET LOCAL work_mem = '32MB'";
/// Ages of rows are counted from the instant of one process: helpers would have others. They also hand each row over to the process that
/// sends it, for a third more of the server's time; a large table is sorted in parts instead.
const ALONE: &str = "SET LOCAL max_parallel_workers_per_gather = 0";

/// A table, ordered by user.
struct Ordered {
    copy: Copy,
    /// What comes after that, the last first.
    then: Vec<Copy>,
    row: Row,
    there: bool,
    /// Rows that were left out.
    strangers: BTreeMap<String, u64>,
}

impl Ordered {
    fn new(copy: Copy, then: Vec<Copy>) -> Result<Self, PlatformError> {
        let mut ordered = Self {
            copy,
            then,
            row: Row::default(),
            there: false,
            strangers: BTreeMap::new(),
        };
        ordered.next()?;
        Ok(ordered)
    }

    fn next(&mut self) -> Result<(), PlatformError> {
        self.there = self.copy.next(&mut self.row)?;
        while !self.there
            && let Some(next) = self.then.pop()
        {
            self.copy = next;
            self.there = self.copy.next(&mut self.row)?;
        }
        Ok(())
    }

    /// Goes on behind a row of somebody who is no user.
    fn leave_out(&mut self) -> Result<(), PlatformError> {
        if let Some(id) = self.row.get(0) {
            let id = String::from_utf8_lossy(id);
            match self.strangers.get_mut(&*id) {
                Some(rows) => *rows += 1,
                None => drop(self.strangers.insert(id.into_owned(), 1)),
            }
        }
        self.next()
    }

    /// Leaves out the rows of users before this one, who are no users any more. Whether the row is one of this user.
    fn reach(&mut self, user: &User) -> Result<bool, PlatformError> {
        while self.there {
            match self
                .row
                .get(0)
                .unwrap_or_default()
                .cmp(user.user_id.as_bytes())
            {
                std::cmp::Ordering::Less => self.leave_out()?,
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(false)
    }
}

/// The tables of a platform, side by side.
pub struct Merge {
    records: Vec<(Shape, Ordered)>,
    account: Vec<Ordered>,
    items: Shapes,
    series: Option<Ordered>,
    /// The files in the database, and those that are not there.
    files: Option<(Ordered, Ordered)>,
    _connections: Vec<Connection>,
}

impl Merge {
    /// How many connections it needs at once, where no table is cut.
    pub fn connections(engines: DatabaseEngines) -> usize {
        let of = |there: bool| usize::from(there);
        engines.of(&TABLES).count()
            + account::TABLES.len() * of(engines.base)
            + of(engines.series)
            + 2 * of(engines.base && engines.files)
    }

    /// Begins to read.
    pub fn new(plan: &MergePlan<'_>) -> Result<Self, PlatformError> {
        let mut shapes = Vec::new();
        let mut queries = Vec::new();
        // How many queries there are for each table.
        let mut counts = Vec::new();
        for (table, collection) in plan.engines.of(&TABLES) {
            let shape = Shape::new(collection, plan.tables.columns(table));
            let parts = plan.records(table, &shape);
            counts.push(parts.len());
            queries.extend(parts);
            shapes.push(shape);
        }
        let account = counts.len();
        let items = Shapes::of(plan.tables);
        let of_account = account::TABLES.iter().enumerate();
        for (at, table) in of_account.filter(|_| plan.engines.base) {
            queries.push(items.query(at, &plan.filter(table, "user_id")));
        }
        if plan.engines.series {
            let filter = plan.filter("series_data", "owner");
            queries
                .push(series::query(plan.aliases, plan.shared_names).replace("{filter}", &filter));
        }
        // Where the base is in files, its events ask for those that they list.
        let listed = plan.engines.base && plan.engines.files;
        if listed {
            let filter = plan.further("attachment_files", "user_id");
            let since = plan
                .since
                .as_ref()
                .map(|since| format!(" AND ({})", since.file()));
            let query = stored::QUERY.replace("{and}", &filter);
            queries.push(query.replace("{since}", &since.unwrap_or_default()));
            let filter = plan.further("attachment_files", "e.user_id");
            queries.push(stored::MISSING.replace("{and}", &filter));
        }
        let runtime = plan.server.runtime()?;
        let mut connections = Vec::new();
        for _ in &queries {
            let connection = plan.server.connect_to(&runtime, plan.snapshot)?;
            if plan.chosen.is_none() {
                connection.run(SORTED)?;
            }
            connection.run(ALONE)?;
            connections.push(connection);
        }
        counts.resize(
            counts.len() + queries.len() - counts.iter().sum::<usize>(),
            1,
        );
        let mut copies = copies(&connections, &queries)?;
        let mut tables = Vec::new();
        for count in counts.into_iter().rev() {
            let mut then = copies.split_off(copies.len().saturating_sub(count));
            then.reverse();
            if let Some(copy) = then.pop() {
                tables.push(Ordered::new(copy, then)?);
            }
        }
        tables.reverse();
        let files = if listed {
            let missing = tables.pop();
            tables.pop().zip(missing)
        } else {
            None
        };
        let series = if plan.engines.series {
            tables.pop()
        } else {
            None
        };
        Ok(Self {
            account: tables.split_off(account),
            items,
            records: shapes.into_iter().zip(tables).collect(),
            series,
            files,
            _connections: connections,
        })
    }

    /// Reads to the end. `users` are ordered by id; `opened` are those of which a part was read before.
    pub fn run<'a>(
        mut self,
        plan: &MergePlan<'_>,
        users: &[&'a User],
        mut opened: HashMap<&str, Arc<Open<'a>>>,
        target: &'a dyn Target,
        feed: &Feed<'_, 'a>,
    ) -> Result<(), ExportError> {
        let mut group = TaskGroup::default();
        for user in users {
            let early = match opened.remove(user.user_id.as_str()) {
                Some(early) => early,
                None => begin(user, target)?,
            };
            let read = self.user(plan, early, feed, &mut group);
            read.map_err(|e| e.of(user))?;
            if !plan.engines.base {
                // Most of the user is still to be read, by whoever takes this.
                feed.end(&mut group)?;
            }
        }
        feed.end(&mut group)?;
        if plan.chosen.is_none() {
            plan.seen.note_strangers(self.strangers()?);
        }
        Ok(())
    }

    /// How many rows there are of whom that belong to no user; the audit trail of such users is in the backup.
    fn strangers(&mut self) -> Result<BTreeMap<String, u64>, PlatformError> {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        let records = self.records.iter_mut();
        let records = records.filter(|(shape, _)| shape.collection != Collection::Audit);
        for table in records.map(|(_, table)| table).chain(&mut self.account) {
            while table.there {
                table.leave_out()?;
            }
            for (id, rows) in std::mem::take(&mut table.strangers) {
                *sums.entry(id).or_default() += rows;
            }
        }
        Ok(sums)
    }

    fn user<'a>(
        &mut self,
        plan: &MergePlan<'_>,
        early: Arc<Open<'a>>,
        feed: &Feed<'_, 'a>,
        group: &mut TaskGroup<'a>,
    ) -> Result<(), ExportError> {
        let user = early.user;
        let mut bundle = Bundle::new(early, feed);
        bundle.reserve(group);
        for (shape, table) in &mut self.records {
            while table.reach(user)? {
                take(plan, shape, &mut table.row, &mut bundle)?;
                table.next()?;
            }
        }
        if plan.engines.base {
            account(&self.items, &mut self.account, user, &mut bundle)?;
        }
        if let Some(table) = &mut self.series {
            points(table, user, plan.seen, &mut bundle)?;
        }
        if let Some((files, missing)) = &mut self.files {
            while files.reach(user)? {
                let Ordered {
                    copy, row, there, ..
                } = files;
                stored::hand_over(copy, row, there, &mut bundle)?;
            }
            while missing.reach(user)? {
                stored::lose(&missing.row, &mut bundle)?;
                missing.next()?;
            }
        }
        bundle.end(group)
    }
}

/// Begins a user of whom nothing was read.
pub fn begin<'a>(user: &'a User, target: &'a dyn Target) -> Result<Arc<Open<'a>>, ExportError> {
    let opened = target.begin(user);
    let opened = opened.map_err(|e| ExportError::Sink(e).of(user))?;
    Ok(Open::new(user, opened))
}

/// A row as a record, with the attachments that it lists, where they are files; or as one that is as it was.
pub fn take(
    plan: &MergePlan<'_>,
    shape: &Shape,
    row: &mut Row,
    bundle: &mut Bundle<'_, '_>,
) -> Result<(), ExportError> {
    if plan.since.is_some() && matches!(shape.collection, Collection::Events | Collection::Audit) {
        match row.unfold(2) {
            Ok(true) => {}
            Ok(false) => return bundle.present(shape.collection, row.get(1).unwrap_or_default()),
            Err(what) => return Err(plan.server.error(what).into()),
        }
    }
    if shape.collection == Collection::Events {
        bundle.passes(shape.is_version(row));
    }
    let files = !plan.engines.files;
    let name = || format!("record {:?}", shape.id(row));
    if !bundle.record(shape.collection, |out| shape.write(row, out), name)? {
        bundle.unreadable(shape.collection, shape.key(row), shape.is_endless(row));
        return Ok(());
    }
    if let Some(path) = shape.deleted_path(row) {
        bundle.stream_path(shape.key(row), path)?;
    }
    match shape.listing(row).filter(|_| files) {
        Some(listing) => files::attach(&listing, bundle),
        None => Ok(()),
    }
}

fn account(
    items: &Shapes,
    tables: &mut [Ordered],
    user: &User,
    bundle: &mut Bundle<'_, '_>,
) -> Result<(), ExportError> {
    let mut account = Account::default();
    for (i, table) in tables.iter_mut().enumerate() {
        while table.reach(user)? {
            if let Err(what) = account.add(items, i, &table.row) {
                let what = format!("{}: {what}; it was left out", items.name(i, &table.row));
                bundle.lose(Collection::Account.name(), what)?;
            }
            table.next()?;
        }
    }
    let write = |out: &mut Vec<u8>| {
        account.write(out);
        Ok(Vec::new())
    };
    bundle
        .record(Collection::Account, write, String::new)
        .map(drop)
}

fn points(
    table: &mut Ordered,
    user: &User,
    seen: &ExportNotes,
    bundle: &mut Bundle<'_, '_>,
) -> Result<(), ExportError> {
    let mut line = SeriesLine::default();
    let write = |line: &mut SeriesLine, bundle: &mut Bundle<'_, '_>| {
        let name = || "a series".to_owned();
        bundle
            .record(
                Collection::Series,
                |out| line.write(out).map(|()| Vec::new()),
                name,
            )
            .map(drop)
    };
    while table.reach(user)? {
        if line.ends_before(&table.row) {
            write(&mut line, bundle)?;
        }
        if let Err(what) = line.add(&table.row, seen) {
            bundle.lose(
                Collection::Series.name(),
                format!("{what}; it was left out"),
            )?;
        }
        table.next()?;
    }
    if line.is_empty() {
        return Ok(());
    }
    write(&mut line, bundle)
}
