//! One user on its way into the database, in one transaction; its files lie aside until that stands.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use serde_json::value::RawValue;

use super::copy_in::{CopyIn, field};
use super::rows::{Lacking, Layout, string};
use super::{Fate, PostgresWriter};
use crate::platform::json::Fields;
use crate::platform::postgres::connection::{Connection, literal};
use crate::platform::postgres::copy::Row;
use crate::platform::postgres::shape::Shape;
use crate::platform::sqlite::write::{SqliteUser, path, rows as files};
use crate::platform::staging::Mark;
use crate::platform::write::{RestoreError, Unheld, UserWriter};
use crate::platform::{Collection, PlatformError, User};

/// Who set what nobody knows who set.
const NOBODY: &str = "restore";
/// Bytes of an attachment in one row.
const PIECE: usize = 1 << 20;

/// A user in an open transaction.
pub struct PostgresUser<'a> {
    platform: &'a PostgresWriter,
    user: User,
    connection: Option<Connection>,
    /// What the platform keeps in files.
    files: SqliteUser,
    open: Option<(Collection, Layout, CopyIn)>,
    streams: Vec<String>,
    unheld: BTreeMap<(&'static str, String), (Collection, u64)>,
}

impl<'a> PostgresUser<'a> {
    pub(super) fn new(
        platform: &'a PostgresWriter,
        user: &User,
        files: SqliteUser,
        replace: bool,
    ) -> Result<Self, RestoreError> {
        let connection = platform.connection()?;
        connection.run("BEGIN; SET LOCAL synchronous_commit = on")?;
        let (id, name) = (literal(&user.user_id), literal(&user.username));
        if replace {
            let mut statements = vec![format!("DELETE FROM users_index WHERE user_id = {id}")];
            for table in platform.user_tables() {
                statements.push(format!("DELETE FROM {table} WHERE user_id = {id}"));
            }
            if platform.engines.series {
                let live = literal(&format!("user.{}", user.username));
                statements.push(format!(
                    "DELETE FROM series_data WHERE user_id IN ({id}, {live})"
                ));
            }
            connection.run(&statements.join("; "))?;
        }
        connection
            .run(&format!(
                "INSERT INTO users_index (username, user_id) VALUES ({name}, {id})"
            ))
            .map_err(|e| conflict(e, "users_index"))?;
        Ok(Self {
            platform,
            user: user.clone(),
            connection: Some(connection),
            files,
            open: None,
            streams: Vec::new(),
            unheld: BTreeMap::new(),
        })
    }

    fn connection(&self) -> Result<&Connection, RestoreError> {
        self.connection
            .as_ref()
            .ok_or_else(|| RestoreError::Conflict {
                what: "the transaction has ended".to_owned(),
            })
    }

    /// Whether a collection is in the database.
    fn inside(&self, collection: Collection) -> bool {
        match collection {
            Collection::Audit => self.platform.engines.audit,
            Collection::Series => self.platform.engines.series,
            _ => true,
        }
    }

    fn lack(&mut self, collection: Collection, what: String) {
        let entry = self.unheld.entry((collection.name(), what));
        entry.or_insert((collection, 0)).1 += 1;
    }

    fn note(&mut self, collection: Collection, lacking: Lacking) {
        for key in lacking.keys {
            self.lack(collection, format!("key {key:?}"));
        }
        if lacking.nul {
            self.lack(collection, "the character U+0000".to_owned());
        }
    }

    /// Ends the table that is being filled.
    fn close(&mut self) -> Result<(), RestoreError> {
        if let Some((collection, _, copy)) = self.open.take() {
            copy.finish().map_err(|e| conflict(e, collection.name()))?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        collection: Collection,
        line: &str,
        path: Option<&str>,
    ) -> Result<(), RestoreError> {
        let fields = parse(collection, line)?;
        if self
            .open
            .as_ref()
            .is_none_or(|(open, _, _)| *open != collection)
        {
            self.close()?;
            let table = table(collection);
            let layout = Layout::new(collection, self.platform.tables.columns(table));
            let copy = CopyIn::begin(self.connection()?, table, &layout.columns())?;
            self.open = Some((collection, layout, copy));
        }
        let Some((_, layout, copy)) = &mut self.open else {
            return Ok(());
        };
        let lacking = layout.write(&self.user.user_id, &fields, path, copy.rows());
        copy.pass().map_err(|e| conflict(e, collection.name()))?;
        self.note(collection, lacking);
        Ok(())
    }

    fn write_streams(&mut self) -> Result<(), RestoreError> {
        let lines = std::mem::take(&mut self.streams);
        let mut parents: HashMap<String, String> = HashMap::new();
        for line in &lines {
            let fields = parse(Collection::Streams, line)?;
            let parent = fields.get("parentId").filter(|raw| *raw != "null");
            let parent = parent.map(files::string).unwrap_or_default();
            parents.insert(files::id(&fields, "id"), parent);
        }
        for line in &lines {
            let id = files::id(&parse(Collection::Streams, line)?, "id");
            let path = path(&id, &parents);
            self.record(Collection::Streams, line, Some(&path))?;
        }
        self.close()
    }

    fn account(&mut self, line: &str) -> Result<(), RestoreError> {
        self.close()?;
        let account = parse(Collection::Account, line)?;
        let from_sqlite = self.platform.from_sqlite;
        for (list, table, columns) in [
            ("passwords", "passwords", "user_id, time, hash, created_by"),
            (
                "storeKeyValues",
                "store_key_values",
                "user_id, store_id, key, value",
            ),
            (
                "accountFields",
                "account_fields",
                "user_id, field, value, time, created_by",
            ),
        ] {
            let items: Vec<&RawValue> =
                serde_json::from_str(account.get(list).unwrap_or("[]")).unwrap_or_default();
            let mut copy = CopyIn::begin(self.connection()?, table, columns)?;
            for item in items {
                let item = parse(Collection::Account, item.get())?;
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
                            string(value)
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
                let row = copy.rows();
                field(Some(&self.user.user_id), row);
                for cell in cells {
                    row.push(b'\t');
                    field(cell.as_deref(), row);
                }
                row.push(b'\n');
            }
            copy.finish().map_err(|e| conflict(e, "account"))?;
        }
        Ok(())
    }

    fn points(&mut self, line: &str) -> Result<(), RestoreError> {
        self.close()?;
        let fields = parse(Collection::Series, line)?;
        let measurement = files::id(&fields, "measurement");
        let namespace = match fields.get("namespace") {
            Some(raw) => files::string(raw),
            None => format!("user.{}", self.user.username),
        };
        let bad = |what: String| RestoreError::Record {
            collection: "series",
            what: format!("{measurement}: {what}"),
        };
        let points: Vec<&RawValue> = serde_json::from_str(fields.get("points").unwrap_or("[]"))
            .map_err(|e| bad(e.to_string()))?;
        let columns = "user_id, event_id, point_time, delta_time, fields";
        let mut copy = CopyIn::begin(self.connection()?, "series_data", columns)?;
        for point in points {
            let point = Fields::parse(point.get()).map_err(bad)?;
            let time = point.get("time").unwrap_or_default();
            let time = files::nanoseconds(time)
                .ok_or_else(|| bad(format!("{time:?} is no time in milliseconds")))?
                .to_string();
            let row = copy.rows();
            for (i, cell) in [
                &namespace,
                &measurement,
                &time,
                &time,
                &files::point(&point),
            ]
            .into_iter()
            .enumerate()
            {
                if i > 0 {
                    row.push(b'\t');
                }
                field(Some(cell), row);
            }
            row.push(b'\n');
            copy.pass()?;
        }
        copy.finish().map_err(|e| conflict(e, "series"))?;
        Ok(())
    }

    /// Where each live event is: what all queries by stream go through.
    fn event_streams(&self) -> Result<(), RestoreError> {
        let id = literal(&self.user.user_id);
        self.connection()?.run(&format!(
            "INSERT INTO event_streams (user_id, event_id, stream_id, stream_path) \
             SELECT e.user_id, e.id, s.id, coalesce(t.path, s.id || '/') \
             FROM events e CROSS JOIN LATERAL jsonb_array_elements_text(e.stream_ids) AS s(id) \
             LEFT JOIN streams t ON t.user_id = e.user_id AND t.id = s.id \
             WHERE e.user_id = {id} AND e.head_id IS NULL AND e.deleted IS NULL AND jsonb_typeof(e.stream_ids) = 'array' \
             ON CONFLICT DO NOTHING"
        ))?;
        Ok(())
    }
}

fn parse(collection: Collection, line: &str) -> Result<Fields<'_>, RestoreError> {
    Fields::parse(line).map_err(|what| RestoreError::Record {
        collection: collection.name(),
        what,
    })
}

fn table(collection: Collection) -> &'static str {
    match collection {
        Collection::Audit => "audit_events",
        other => other.name(),
    }
}

/// A row that is there twice, or that the server cannot take, is the archive's fault.
fn conflict(error: PlatformError, collection: &'static str) -> RestoreError {
    let said = error.to_string();
    // Classes 22 and 23: data that is not valid, and constraints.
    let code = said
        .rsplit_once("; ")
        .map_or(said.as_str(), |(said, _)| said);
    let code = code
        .trim_end_matches(')')
        .rsplit('(')
        .next()
        .unwrap_or_default();
    if code == "23505" && collection == "users_index" {
        return RestoreError::Conflict {
            what:
                "the platform has a user of this name or id already; pass --overwrite to replace it"
                    .to_owned(),
        };
    }
    if code.len() == 5 && (code.starts_with("22") || code.starts_with("23")) {
        return RestoreError::Record {
            collection,
            what: format!("a record is there twice, or is not what the platform takes ({said})"),
        };
    }
    RestoreError::Platform(error)
}

impl UserWriter for PostgresUser<'_> {
    fn records(&mut self, collection: Collection, lines: &[u8]) -> Result<(), RestoreError> {
        if !self.inside(collection) {
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
        if !self.platform.engines.files {
            return self.files.attachment(event_id, file_id, content);
        }
        self.close()?;
        let columns = "user_id, event_id, file_id, seq, data";
        let mut copy = CopyIn::begin(self.connection()?, "attachment_files", columns)?;
        let mut piece = Vec::with_capacity(PIECE);
        for seq in 0.. {
            piece.clear();
            content
                .take(PIECE as u64)
                .read_to_end(&mut piece)
                .map_err(archive_error)?;
            if piece.is_empty() && seq > 0 {
                break;
            }
            let row = copy.rows();
            let number = seq.to_string();
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
            copy.pass()?;
            if piece.len() < PIECE {
                break;
            }
        }
        copy.finish().map_err(|e| conflict(e, "attachments"))?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        self.write_streams()?;
        self.close()?;
        self.event_streams()?;
        self.files.flush_some()
    }

    fn read_back(
        &mut self,
        collection: Collection,
        take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        if !self.inside(collection) {
            return self.files.read_back(collection, take);
        }
        let table = table(collection);
        let shape = Shape::new(collection, self.platform.tables.columns(table));
        let query = format!(
            "SELECT {} FROM {table} WHERE user_id = {}",
            shape.select(),
            literal(&self.user.user_id)
        );
        let mut copy = self.connection()?.copy(&query)?;
        let (mut row, mut line) = (Row::default(), Vec::new());
        while copy.next(&mut row)? {
            line.clear();
            shape
                .write(&row, &mut line)
                .map_err(|what| RestoreError::Record {
                    collection: collection.name(),
                    what,
                })?;
            take(&line)?;
        }
        Ok(())
    }

    fn unheld(&self) -> Vec<Unheld> {
        let mut all = self.files.unheld();
        all.extend(
            self.unheld
                .iter()
                .map(|((_, what), (collection, records))| Unheld {
                    collection: *collection,
                    what: what.clone(),
                    records: *records,
                }),
        );
        all
    }

    fn commit(mut self: Box<Self>) -> Result<(), RestoreError> {
        let Some(connection) = self.connection.take() else {
            return Ok(());
        };
        let rows = connection.rows("SELECT pg_current_xact_id()::text")?;
        let xid = rows
            .into_iter()
            .flatten()
            .flatten()
            .next()
            .unwrap_or_default();
        self.platform
            .staging
            .begun
            .add(&self.user.user_id, Some(&xid))?;
        let journal = self.files.decide(Mark::Transaction(xid.clone()))?;
        // From here on the next run knows what became of it.
        let unknown = |e: RestoreError| RestoreError::Unknown(Box::new(e));
        match connection.run("COMMIT") {
            Ok(()) => self.platform.give_back(connection),
            Err(answer) => {
                drop(connection);
                match self.platform.settled(&xid).map_err(unknown)? {
                    Fate::Committed => {}
                    Fate::Aborted => {
                        if let Some(journal) = journal {
                            journal.undo()?;
                        }
                        return Err(answer.into());
                    }
                    Fate::Open | Fate::Unknown => return Err(unknown(answer.into())),
                }
            }
        }
        let Some(journal) = journal else {
            return Ok(());
        };
        journal
            .place()
            .and_then(|()| journal.finish())
            .map_err(|e| RestoreError::Unfinished(Box::new(e)))
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
