//! Records as rows: which members of a collection have a column of their own.

use decryptor_wasm::integrity::Record;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// Seconds, counts.
    Number,
    /// Yes or no.
    Bool,
    /// Whatever JSON has.
    Json,
}

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its name, that of the member.
    pub name: &'static str,
    /// The other name of the member in archives of some platforms.
    also: &'static str,
    /// What it holds.
    pub kind: Kind,
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        also: "",
        kind,
    }
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const fn number(name: &'static str) -> Column {
    column(name, Kind::Number)
}

const fn bool(name: &'static str) -> Column {
    column(name, Kind::Bool)
}

const fn json(name: &'static str) -> Column {
    column(name, Kind::Json)
}

const fn also(column: Column, also: &'static str) -> Column {
    Column { also, ..column }
}

/// The last column: an object of all other members.
pub const OTHER: &str = "other";

const EVENTS: &[Column] = &[
    text("id"),
    text("headId"),
    json("streamIds"),
    number("time"),
    number("endTime"),
    text("type"),
    json("content"),
    text("description"),
    json("attachments"),
    json("clientData"),
    bool("trashed"),
    number("deleted"),
    number("created"),
    text("createdBy"),
    number("modified"),
    text("modifiedBy"),
    text("integrity"),
];

const STREAMS: &[Column] = &[
    text("id"),
    text("name"),
    text("parentId"),
    json("clientData"),
    bool("trashed"),
    number("deleted"),
    number("created"),
    text("createdBy"),
    number("modified"),
    text("modifiedBy"),
];

const ACCESSES: &[Column] = &[
    text("id"),
    text("headId"),
    text("type"),
    text("name"),
    text("deviceName"),
    text("token"),
    json("permissions"),
    number("expires"),
    number("lastUsed"),
    json("clientData"),
    number("deleted"),
    number("created"),
    text("createdBy"),
    number("modified"),
    text("modifiedBy"),
    text("integrity"),
];

const WEBHOOKS: &[Column] = &[
    text("id"),
    text("accessId"),
    text("url"),
    text("state"),
    number("runCount"),
    number("failCount"),
    json("lastRun"),
    json("runs"),
    number("deleted"),
    number("created"),
    text("createdBy"),
    number("modified"),
    text("modifiedBy"),
];

/// Names in snake case are those of an audit store in PostgreSQL.
const AUDIT: &[Column] = &[
    text("eventid"),
    also(json("streamIds"), "stream_ids"),
    number("time"),
    also(number("endTime"), "end_time"),
    text("type"),
    json("content"),
    text("description"),
    also(json("clientData"), "client_data"),
    number("created"),
    also(text("createdBy"), "created_by"),
    number("modified"),
    also(text("modifiedBy"), "modified_by"),
];

const SERIES: &[Column] = &[
    text("namespace"),
    text("measurement"),
    number("time"),
    json("value"),
];

const PROFILE: &[Column] = &[text("id"), json("data")];
const ACCOUNT: &[Column] = &[
    json("passwords"),
    json("storeKeyValues"),
    json("accountFields"),
];
const INDEX: &[Column] = &[
    bool("isUnique"),
    text("field"),
    text("username"),
    text("value"),
];
const KEYS: &[Column] = &[text("key"), json("value")];
const ALIASES: &[Column] = &[text("alias"), text("userId")];
const EPHEMERAL: &[Column] = &[
    text("id"),
    text("username"),
    json("data"),
    number("expires"),
];
const SERVERS: &[Column] = &[text("username"), text("server")];

/// The columns of each collection.
const ALL: [(&str, &[Column]); 14] = [
    ("events", EVENTS),
    ("streams", STREAMS),
    ("accesses", ACCESSES),
    ("profile", PROFILE),
    ("webhooks", WEBHOOKS),
    ("account", ACCOUNT),
    ("audit", AUDIT),
    ("series", SERIES),
    ("platform/platform", INDEX),
    ("platform/keys", KEYS),
    ("platform/aliases", ALIASES),
    ("platform/sessions", EPHEMERAL),
    ("platform/password-resets", EPHEMERAL),
    ("register/servers", SERVERS),
];

/// The columns of a collection; none when there is no such collection.
pub fn of(collection: &str) -> Option<&'static [Column]> {
    let found = ALL.iter().find(|(name, _)| *name == collection);
    found.map(|(_, columns)| *columns)
}

/// All collections.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

impl Column {
    /// The JSON text of what a record has for it; none of null.
    pub fn of<'r>(&self, record: &Record<'r>) -> Option<&'r str> {
        record.get(self.name).or_else(|| match self.also {
            "" => None,
            also => record.get(also),
        })
    }

    fn is(&self, name: &str) -> bool {
        name == self.name || (!self.also.is_empty() && name == self.also)
    }
}

/// The members that have no column, as a JSON object; none when there are none.
pub fn others(columns: &[Column], record: &Record<'_>) -> Option<String> {
    let mut object = String::new();
    for (name, value) in record.members() {
        if value == "null" || columns.iter().any(|column| column.is(name)) {
            continue;
        }
        object.push(if object.is_empty() { '{' } else { ',' });
        object += &serde_json::Value::from(name).to_string();
        object.push(':');
        object += value;
    }
    (!object.is_empty()).then(|| object + "}")
}
