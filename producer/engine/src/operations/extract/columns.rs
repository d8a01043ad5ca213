//! Records as rows: which members of a collection have a column of their own.

use decryptor_wasm::integrity::Record;

/// Type of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
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
pub struct OutputColumn {
    /// Its name, that of the member.
    pub name: &'static str,
    /// The other name of the member in archives of some platforms.
    also: &'static str,
    /// Type of its values.
    pub kind: ColumnKind,
}

const fn column(name: &'static str, kind: ColumnKind) -> OutputColumn {
    OutputColumn {
        name,
        also: "",
        kind,
    }
}

const fn text(name: &'static str) -> OutputColumn {
    column(name, ColumnKind::Text)
}

const fn number(name: &'static str) -> OutputColumn {
    column(name, ColumnKind::Number)
}

const fn bool(name: &'static str) -> OutputColumn {
    column(name, ColumnKind::Bool)
}

const fn json(name: &'static str) -> OutputColumn {
    column(name, ColumnKind::Json)
}

const fn also(column: OutputColumn, also: &'static str) -> OutputColumn {
    OutputColumn { also, ..column }
}

/// The last column: an object of all other members.
pub const OTHER: &str = "other";

const EVENTS: &[OutputColumn] = &[
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

const STREAMS: &[OutputColumn] = &[
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

const ACCESSES: &[OutputColumn] = &[
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

const WEBHOOKS: &[OutputColumn] = &[
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
const AUDIT: &[OutputColumn] = &[
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

const SERIES: &[OutputColumn] = &[
    text("namespace"),
    text("measurement"),
    number("time"),
    json("value"),
];

const PROFILE: &[OutputColumn] = &[text("id"), json("data")];
const ACCOUNT: &[OutputColumn] = &[
    json("passwords"),
    json("storeKeyValues"),
    json("accountFields"),
];
const INDEX: &[OutputColumn] = &[
    bool("isUnique"),
    text("field"),
    text("username"),
    text("value"),
];
const KEYS: &[OutputColumn] = &[text("key"), json("value")];
const ALIASES: &[OutputColumn] = &[text("alias"), text("userId")];
const EPHEMERAL: &[OutputColumn] = &[
    text("id"),
    text("username"),
    json("data"),
    number("expires"),
];
const SERVERS: &[OutputColumn] = &[text("username"), text("server")];

/// The columns of each collection.
const ALL: [(&str, &[OutputColumn]); 14] = [
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
pub fn of(collection: &str) -> Option<&'static [OutputColumn]> {
    let found = ALL.iter().find(|(name, _)| *name == collection);
    found.map(|(_, columns)| *columns)
}

/// All collections.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

impl OutputColumn {
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
pub fn others(columns: &[OutputColumn], record: &Record<'_>) -> Option<String> {
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
