//! One user on its way into files.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use rusqlite::types::Value;

use super::rows::{self, id, scalar};
use super::store::Store;
use crate::interrupt;
use crate::limits::MAX_STREAM_PATH_SQLITE;
use crate::platform::influx::PointsWriter;
use crate::platform::json::Fields;
use crate::platform::sqlite::schema::{self, ACCOUNT_TABLES, EVENT_COLUMNS};
use crate::platform::staging::StagedUser;
use crate::platform::tree::Tree;
use crate::platform::write::{RestoreError, Unheld};
use crate::platform::{Collection, User};

/// The author of a record whose author is not known.
const NOBODY: &str = "restore";

/// A user whose files lie aside.
pub struct SqliteUser {
    pub(super) user: User,
    from_sqlite: bool,
    pub(super) staged: StagedUser,
    /// The way to the server that keeps the series; none where they come into files.
    pub(super) series: Option<PointsWriter>,
    /// Files that are being written, by namespace for series.
    stores: HashMap<(&'static str, String), Store>,
    /// The lines of the streams, until all are known.
    streams: Vec<String>,
    tree: Tree,
    /// Where deleted streams were.
    pub stream_paths: BTreeMap<String, String>,
    unheld: BTreeMap<(&'static str, String), (Collection, u64)>,
    pub(super) namespaces: Vec<String>,
}

impl SqliteUser {
    /// A user whose files are made in `staged`; `from_sqlite` says that the archive comes from this engine.
    ///
    /// # Errors
    /// When the disk refuses, or when files are there that are not to be replaced.
    pub fn new(
        user: &User,
        mut staged: StagedUser,
        from_sqlite: bool,
        replace: bool,
    ) -> Result<Self, RestoreError> {
        if !replace && staged.has_folder(&user.user_id) {
            return Err(RestoreError::AlreadyThere {
                what: format!("the platform has a folder of user {} already", user.user_id),
            });
        }
        staged.replace_series()?;
        staged.replace_objects(replace)?;
        // They give way even when the archive has nothing to put in their place.
        for owner in user.namespaces() {
            if staged.has_folder(&owner) {
                staged.folder(&owner)?;
            }
        }
        Ok(Self {
            from_sqlite,
            user: user.clone(),
            series: staged.points_writer(),
            staged,
            stores: HashMap::new(),
            streams: Vec::new(),
            tree: Tree::default(),
            stream_paths: BTreeMap::new(),
            unheld: BTreeMap::new(),
            namespaces: Vec::new(),
        })
    }

    pub(super) fn store(
        &mut self,
        name: &'static str,
        owner: &str,
    ) -> Result<&Store, RestoreError> {
        let key = (name, owner.to_owned());
        if !self.stores.contains_key(&key) {
            let (file, schema) = match name {
                "base" => ("baseStorage-1.0.0.sqlite", schema::BASE),
                "events" => ("local-1.0.0.sqlite", schema::EVENTS),
                "audit" => ("audit-1.0.0.sqlite", schema::EVENTS),
                "account" => ("account-1.0.0.sqlite", schema::ACCOUNT),
                _ => ("series-1.0.0.sqlite", schema::SERIES),
            };
            let path = self.staged.folder(owner)?.join(file);
            self.stores
                .insert(key.clone(), Store::create(&path, schema)?);
        }
        self.stores.get(&key).ok_or_else(|| RestoreError::Conflict {
            what: format!("the file of {name} was not made"),
        })
    }

    fn own(&mut self, name: &'static str) -> Result<&Store, RestoreError> {
        let owner = self.user.user_id.clone();
        self.store(name, &owner)
    }

    pub(super) fn lack(&mut self, collection: Collection, what: String) {
        let entry = self.unheld.entry((collection.name(), what));
        entry.or_insert((collection, 0)).1 += 1;
    }

    fn record(&mut self, collection: Collection, line: &str) -> Result<(), RestoreError> {
        let malformed = |what: String| RestoreError::Record {
            collection: collection.name(),
            what,
        };
        let fields = Fields::parse(line).map_err(malformed)?;
        match collection {
            Collection::Streams => {
                let parent = fields.get("parentId").filter(|raw| *raw != "null");
                self.tree.add(id(&fields, "id"), parent.map(rows::string));
                self.streams.push(line.to_owned());
                Ok(())
            }
            Collection::Accesses => {
                let row = vec![
                    scalar(fields.get("id")),
                    scalar(fields.get("headId")),
                    scalar(fields.get("deleted")),
                    Value::Text(rows::data(&fields, None)),
                ];
                let sql = "INSERT INTO accesses VALUES (?, ?, ?, ?)";
                self.own("base")?
                    .insert(sql, row, "accesses", || id(&fields, "id"))
            }
            Collection::Webhooks => {
                let row = vec![
                    scalar(fields.get("id")),
                    scalar(fields.get("deleted")),
                    Value::Text(rows::data(&fields, None)),
                ];
                let sql = "INSERT INTO webhooks VALUES (?, ?, ?)";
                self.own("base")?
                    .insert(sql, row, "webhooks", || id(&fields, "id"))
            }
            Collection::Profile => {
                let row = vec![
                    scalar(fields.get("id")),
                    Value::Text(rows::data(&fields, None)),
                ];
                let sql = "INSERT INTO profile VALUES (?, ?)";
                self.own("base")?
                    .insert(sql, row, "profile", || id(&fields, "id"))
            }
            Collection::Events => {
                let event = rows::event(&fields);
                let (row, unknown) =
                    event.map_err(|what| malformed(format!("{:?}: {what}", id(&fields, "id"))))?;
                for key in unknown {
                    self.lack(collection, format!("key {key:?}"));
                }
                self.own("events")?
                    .insert(&insert_event(), row, "events", || id(&fields, "id"))
            }
            Collection::Audit => {
                let (row, unknown) = rows::audit(&fields);
                for key in unknown {
                    self.lack(collection, format!("key {key:?}"));
                }
                self.own("audit")?
                    .insert(&insert_event(), row, "audit", || id(&fields, "eventid"))
            }
            Collection::Account => self.account(&fields),
            Collection::Series => self.points(&fields),
        }
    }

    fn account(&mut self, fields: &Fields<'_>) -> Result<(), RestoreError> {
        for key in rows::further(fields, &rows::ACCOUNT) {
            self.lack(Collection::Account, format!("key {key:?}"));
        }
        let from_sqlite = self.from_sqlite;
        let who = |raw: Option<&str>| match scalar(raw) {
            Value::Text(who) => Value::Text(who),
            _ => Value::Text(NOBODY.to_owned()),
        };
        for schema::AccountTable {
            list,
            table,
            columns,
        } in ACCOUNT_TABLES
        {
            // The newest value of a key counts.
            let or = match list {
                "storeKeyValues" => " OR REPLACE",
                _ => "",
            };
            let sql = insert(or, table, columns.len());
            let malformed = |what: String| RestoreError::Record {
                collection: "account",
                what,
            };
            for item in rows::list(fields, list).map_err(malformed)? {
                let item = Fields::parse(item.get())
                    .map_err(|what| malformed(format!("{list}: {what}")))?;
                for key in rows::further(&item, rows::of_items(list)) {
                    self.lack(Collection::Account, format!("key {key:?} of {list}"));
                }
                let either = |a: &str, b: &str| item.get(a).or_else(|| item.get(b));
                let by = who(either("createdBy", "created_by"));
                let row = match list {
                    "passwords" => vec![scalar(item.get("time")), scalar(item.get("hash")), by],
                    "storeKeyValues" => vec![
                        scalar(either("storeId", "store_id")),
                        scalar(item.get("key")),
                        rows::stored_value(item.get("value"), from_sqlite),
                    ],
                    _ => vec![
                        scalar(item.get("field")),
                        Value::Text(item.get("value").unwrap_or("null").to_owned()),
                        scalar(item.get("time")),
                        by,
                    ],
                };
                self.own("account")?
                    .insert(&sql, row, "account", || list.to_owned())?;
            }
        }
        Ok(())
    }

    /// Streams have the path of their parents in them, who may have come after them.
    fn write_streams(&mut self) -> Result<(), RestoreError> {
        let sql = "INSERT INTO streams VALUES (?, ?, ?)";
        let malformed = |what: String| RestoreError::Record {
            collection: "streams",
            what,
        };
        for line in std::mem::take(&mut self.streams) {
            interrupt::check()?;
            let fields = Fields::parse(&line).map_err(malformed)?;
            let deleted = scalar(fields.get("deleted"));
            let name = id(&fields, "id");
            let path = match deleted {
                Value::Null => Some(
                    self.tree
                        .path(&name, MAX_STREAM_PATH_SQLITE)
                        .map_err(malformed)?,
                ),
                // No record tells where it was.
                _ => self.stream_paths.remove(&name),
            };
            let row = vec![
                scalar(fields.get("id")),
                deleted,
                Value::Text(rows::data(&fields, path.as_deref())),
            ];
            self.own("base")?
                .insert(sql, row, "streams", || id(&fields, "id"))?;
        }
        Ok(())
    }
}

fn insert_event() -> String {
    insert("", "events", EVENT_COLUMNS.len())
}

/// A statement that adds a row to a table of so many columns.
fn insert(or: &str, table: &str, columns: usize) -> String {
    let values = vec!["?"; columns].join(", ");
    format!("INSERT{or} INTO {table} VALUES ({values})")
}

impl SqliteUser {
    /// Ends the files that were begun.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn flush_some(&mut self) -> Result<(), RestoreError> {
        self.write_streams()?;
        for ((name, _), store) in self.stores.drain() {
            let derived = match name {
                "events" | "audit" => schema::EVENTS_DERIVED,
                _ => "",
            };
            store.finish(derived)?;
        }
        let mut lacks = Vec::new();
        if let Some(writer) = &mut self.series {
            writer.flush(&mut |what| lacks.push(what))?;
        }
        self.lack_all(lacks);
        self.staged.end_objects()
    }

    /// Whether there are no files: neither new ones nor some to be replaced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// The folders to put in place.
    #[must_use]
    pub fn staged(self) -> StagedUser {
        self.staged
    }

    /// Takes complete JSON objects of one collection, each with its newline.
    ///
    /// # Errors
    /// When a record is not what the format says, or when the disk refuses.
    pub fn records(&mut self, collection: Collection, lines: &[u8]) -> Result<(), RestoreError> {
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let text = std::str::from_utf8(line).map_err(|_| RestoreError::Record {
                collection: collection.name(),
                what: "a record is not UTF-8".to_owned(),
            })?;
            self.record(collection, text)?;
        }
        Ok(())
    }

    /// Takes one attachment of an event.
    ///
    /// # Errors
    /// When the content ends early or the disk refuses.
    pub fn attachment(
        &mut self,
        event_id: &str,
        file_id: &str,
        content: &mut dyn Read,
    ) -> Result<(), RestoreError> {
        self.staged.attachment(event_id, file_id, content)
    }

    /// Ends the records of a user who has no other place than these files.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn flush(&mut self) -> Result<(), RestoreError> {
        self.write_streams()?;
        // Pryv makes these at once, and a platform that reads them expects their tables.
        for name in ["base", "events", "account"] {
            self.own(name)?;
        }
        self.flush_some()
    }

    /// Items for which these files have no place.
    #[must_use]
    pub fn unheld(&self) -> Vec<Unheld> {
        let unheld = self.unheld.iter();
        unheld
            .map(|((_, what), (collection, records))| Unheld {
                collection: *collection,
                what: what.clone(),
                records: *records,
            })
            .collect()
    }
}
