//! One user on its way into the database, among those of its group.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use super::copy_in::field;
use super::feed::Table;
use super::group::PostgresGroup;
use super::rows::{Lacking, string};
use crate::limits::BLOCK;
use crate::limits::MAX_STREAM_PATH_POSTGRES;
use crate::platform::json::Fields;
use crate::platform::sqlite::write::{SqliteUser, rows as files};
use crate::platform::texts::{Lost, storable};
use crate::platform::tree::Tree;
use crate::platform::write::{RestoreError, Unheld, UserWriter};
use crate::platform::{Collection, User};

/// The author of a record whose author is not known.
const NOBODY: &str = "restore";

/// A user whose records are coming.
pub struct PostgresUser<'g, 'a> {
    group: &'g mut PostgresGroup<'a>,
    user: User,
    /// Records that the platform keeps in files.
    files: SqliteUser,
    pub(super) streams: Vec<String>,
    pub(super) tree: Tree,
    /// Where deleted streams were.
    pub(super) stream_paths: BTreeMap<String, String>,
    unheld: BTreeMap<(&'static str, String), (Collection, u64)>,
}

impl<'g, 'a> PostgresUser<'g, 'a> {
    pub(super) fn new(
        group: &'g mut PostgresGroup<'a>,
        user: &User,
        files: SqliteUser,
    ) -> Result<Self, RestoreError> {
        let mut new = Self {
            group,
            user: user.clone(),
            files,
            streams: Vec::new(),
            tree: Tree::default(),
            stream_paths: BTreeMap::new(),
            unheld: BTreeMap::new(),
        };
        if new.group.platform.engines.base {
            new.row(Table::Users, &[Some(&user.username), Some(&user.user_id)])?;
        }
        Ok(new)
    }

    /// Appends a row.
    fn row(&mut self, table: Table, cells: &[Option<&str>]) -> Result<(), RestoreError> {
        let row = self.group.rows(table)?;
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                row.push(b'\t');
            }
            field(*cell, row);
        }
        row.push(b'\n');
        self.group.pass(table)
    }

    fn lack(&mut self, collection: Collection, what: String) {
        let entry = self.unheld.entry((collection.name(), what));
        entry.or_insert((collection, 0)).1 += 1;
    }

    fn note(&mut self, collection: Collection, lacking: Lacking) {
        for key in lacking.keys {
            self.lack(collection, format!("key {key:?}"));
        }
        self.lost(collection, lacking.lost);
    }

    fn lost(&mut self, collection: Collection, lost: Lost) {
        if lost.nul {
            self.lack(collection, "the character U+0000".to_owned());
        }
        if lost.half {
            self.lack(collection, "half a surrogate pair".to_owned());
        }
    }

    pub(super) fn record(
        &mut self,
        collection: Collection,
        line: &str,
        path: Option<&str>,
    ) -> Result<(), RestoreError> {
        let fields = parse(collection, line)?;
        let user_id = &self.user.user_id;
        let lacking = self.group.record(collection, user_id, &fields, path)?;
        self.note(collection, lacking);
        if collection == Collection::Events {
            self.in_streams(&fields)?;
        }
        Ok(())
    }

    /// Where a live event is: what all queries by stream go through.
    fn in_streams(&mut self, event: &Fields<'_>) -> Result<(), RestoreError> {
        let set = |key| event.get(key).is_some_and(|raw| raw != "null");
        let event_id = string(event.get("id").unwrap_or_default());
        let malformed = |what| malformed(Collection::Events, format!("{event_id:?}: {what}"));
        let ids = files::stream_ids(event).map_err(malformed)?;
        if set("headId") || set("deleted") {
            return Ok(());
        }
        let mut seen: Vec<Cow<'_, str>> = Vec::with_capacity(ids.len());
        for id in ids {
            let id = string(id);
            if seen.contains(&id) {
                continue;
            }
            let path = self
                .tree
                .path(&id, MAX_STREAM_PATH_POSTGRES)
                .map_err(malformed)?;
            let row = self.group.rows(Table::EventStreams)?;
            for cell in [&self.user.user_id, event_id.as_ref(), id.as_ref()] {
                text(cell, row);
                row.push(b'\t');
            }
            text(&path, row);
            row.push(b'\n');
            self.group.pass(Table::EventStreams)?;
            seen.push(id);
        }
        Ok(())
    }

    fn account(&mut self, line: &str) -> Result<(), RestoreError> {
        let account = parse(Collection::Account, line)?;
        for key in files::further(&account, &files::ACCOUNT) {
            self.lack(Collection::Account, format!("key {key:?}"));
        }
        let from_sqlite = self.group.platform.files.from_sqlite;
        for (list, table) in [
            ("passwords", Table::Passwords),
            ("storeKeyValues", Table::StoreKeyValues),
            ("accountFields", Table::AccountFields),
        ] {
            let items = files::list(&account, list);
            for item in items.map_err(|what| malformed(Collection::Account, what))? {
                let mut lost = Lost::default();
                let held = storable(item.get(), &mut lost);
                let item = parse(Collection::Account, &held)?;
                for key in files::further(&item, files::of_items(list)) {
                    self.lack(Collection::Account, format!("key {key:?} of {list}"));
                }
                let text = |a: &str, b: &str| {
                    let raw = item.get(a).or_else(|| item.get(b));
                    raw.filter(|raw| *raw != "null").map(string)
                };
                let by = text("createdBy", "created_by").unwrap_or(NOBODY.into());
                let value = item.get("value").unwrap_or("null");
                let cells = match list {
                    "passwords" => vec![text("time", "time"), text("hash", "hash"), Some(by)],
                    "storeKeyValues" => vec![
                        text("storeId", "store_id"),
                        text("key", "key"),
                        Some(if from_sqlite {
                            storable(&string(value), &mut lost).into_owned().into()
                        } else {
                            value.into()
                        }),
                    ],
                    _ => vec![
                        text("field", "field"),
                        Some(value.into()),
                        text("time", "time"),
                        Some(by),
                    ],
                };
                let owner = self.user.user_id.clone();
                let mut row = vec![Some(owner.as_str())];
                row.extend(cells.iter().map(Option::as_deref));
                self.row(table, &row)?;
                self.lost(Collection::Account, lost);
            }
        }
        Ok(())
    }

    fn points(&mut self, line: &str) -> Result<(), RestoreError> {
        let mut lost = Lost::default();
        let held = storable(line, &mut lost);
        self.lost(Collection::Series, lost);
        let fields = parse(Collection::Series, &held)?;
        let measurement = files::id(&fields, "measurement");
        let namespace = match fields.get("namespace") {
            Some(raw) => files::string(raw),
            None => format!("user.{}", self.user.username),
        };
        let bad = |what: String| RestoreError::Record {
            collection: "series",
            what: format!("{measurement}: {what}"),
        };
        let points = files::list(&fields, "points").map_err(bad)?;
        for point in points {
            let point = Fields::parse(point.get()).map_err(bad)?;
            let time = point.get("time").unwrap_or_default();
            let time = files::nanoseconds(time)
                .ok_or_else(|| {
                    bad(format!(
                        "{time:?} is neither a time in milliseconds nor an ISO time"
                    ))
                })?
                .to_string();
            let point = files::point(&point);
            let cells = [&namespace, &measurement, &time, &time, &point];
            self.row(Table::Series, &cells.map(|cell| Some(cell.as_str())))?;
        }
        Ok(())
    }
}

pub(super) fn parse(collection: Collection, line: &str) -> Result<Fields<'_>, RestoreError> {
    Fields::parse(line).map_err(|what| malformed(collection, what))
}

pub(super) fn malformed(collection: Collection, what: String) -> RestoreError {
    RestoreError::Record {
        collection: collection.name(),
        what,
    }
}

/// Appends a text without U+0000, which no text of the server can hold; that the record loses it was noted already.
fn text(text: &str, row: &mut Vec<u8>) {
    match text.contains('\0') {
        true => field(Some(&text.replace('\0', "")), row),
        false => field(Some(text), row),
    }
}

impl UserWriter for PostgresUser<'_, '_> {
    fn stream_paths(&mut self, paths: BTreeMap<String, String>) {
        match self.group.platform.engines.base {
            true => self.stream_paths = paths,
            false => self.files.stream_paths = paths,
        }
    }

    fn records(&mut self, collection: Collection, lines: &[u8]) -> Result<(), RestoreError> {
        if !self.group.platform.engines.holds(collection) {
            return self.files.records(collection, lines);
        }
        if collection != Collection::Streams && !self.streams.is_empty() {
            self.write_streams()?;
        }
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let line = std::str::from_utf8(line).map_err(|_| RestoreError::Record {
                collection: collection.name(),
                what: "a record is not UTF-8".to_owned(),
            })?;
            match collection {
                Collection::Streams => self.streams.push(line.to_owned()),
                Collection::Account => self.account(line)?,
                Collection::Series => self.points(line)?,
                _ => self.record(collection, line, None)?,
            }
        }
        Ok(())
    }

    fn attachment(
        &mut self,
        event_id: &str,
        file_id: &str,
        content: &mut dyn Read,
    ) -> Result<(), RestoreError> {
        if !self.group.platform.engines.files {
            return self.files.attachment(event_id, file_id, content);
        }
        let mut piece = Vec::with_capacity(BLOCK);
        for seq in 0.. {
            piece.clear();
            content
                .take(BLOCK as u64)
                .read_to_end(&mut piece)
                .map_err(archive_error)?;
            if piece.is_empty() && seq > 0 {
                break;
            }
            let number = seq.to_string();
            let row = self.group.rows(Table::Files)?;
            for cell in [&self.user.user_id, event_id, file_id, &number] {
                field(Some(cell), row);
                row.push(b'\t');
            }
            row.extend_from_slice(b"\\\\x");
            const HEX: &[u8; 16] = b"0123456789abcdef";
            for byte in &piece {
                row.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            row.push(b'\n');
            self.group.pass(Table::Files)?;
            if piece.len() < BLOCK {
                break;
            }
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<Vec<Unheld>, RestoreError> {
        self.write_streams()?;
        match self.group.platform.engines.base {
            true => self.files.flush_some()?,
            false => self.files.flush()?,
        }
        let Self {
            group,
            user,
            files,
            unheld,
            ..
        } = *self;
        let mut all = files.unheld();
        all.extend(
            unheld
                .into_iter()
                .map(|((_, what), (collection, records))| Unheld {
                    collection,
                    what,
                    records,
                }),
        );
        group.add(user, files);
        Ok(all)
    }
}

fn archive_error(error: std::io::Error) -> RestoreError {
    let said = error.to_string();
    error.downcast().map_or_else(
        |_| RestoreError::Record {
            collection: "attachments",
            what: said,
        },
        RestoreError::Archive,
    )
}
