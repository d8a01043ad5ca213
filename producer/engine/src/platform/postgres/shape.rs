//! Rows as records: which columns become which members, and what NULL means (docs/format.md, "Records").

use super::copy::Row;
use super::tables::Column;
use super::values::{Kind, json_text, not_finite, push, push_string};
use crate::platform::{Collection, json};

/// How the rows of a table become records.
pub struct Shape {
    /// Collection of the records.
    pub collection: Collection,
    members: Vec<Member>,
    deleted: Option<usize>,
    kind: Option<usize>,
    id: usize,
    head: Option<usize>,
    attachments: Option<usize>,
    /// Behind the members: where a stream is.
    path: Option<usize>,
}

/// A column as a member.
struct Member {
    column: Column,
    /// `"name":`
    key: Vec<u8>,
    null: Null,
    /// Whether `false` goes without saying.
    false_left_out: bool,
    /// Pryv.io, as far as this version knows it, has no such column.
    further: bool,
}

/// Treatment of NULL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    Omitted,
    Kept,
    /// Kept unless the record is that of something deleted.
    KeptIfLive,
    /// Kept in accesses of type `shared`.
    KeptIfShared,
}

/// The columns of streams: of a deleted one only id and deletion are told.
const STREAMS: [&str; 13] = [
    "user_id",
    "id",
    "name",
    "parent_id",
    "path",
    "client_data",
    "single_activity",
    "trashed",
    "created",
    "created_by",
    "modified",
    "modified_by",
    "deleted",
];

/// Attachments that an event lists, as stored.
pub struct AttachmentListing<'a> {
    /// The event.
    pub event_id: &'a [u8],
    /// Whether the record is deleted.
    pub deleted: bool,
    /// JSON.
    pub text: &'a [u8],
}

impl Shape {
    /// The shape of the records that a table with these columns holds.
    pub fn new(collection: Collection, columns: &[Column]) -> Self {
        let left_out =
            |name: &str| name == "user_id" || (name == "path" && collection == Collection::Streams);
        let members: Vec<Member> = columns
            .iter()
            .filter(|column| !left_out(&column.name))
            .map(|column| Member::new(collection, column.clone()))
            .collect();
        // The first field of a row says whose it is.
        let place = |name: &str| {
            let found = members.iter().position(|m| m.column.name == name);
            found.map(|at| at + 1)
        };
        let id = place("id").or_else(|| place("eventid")).unwrap_or(0);
        Self {
            collection,
            deleted: place("deleted"),
            kind: place("type"),
            id,
            head: place("head_id"),
            attachments: place("attachments").filter(|_| collection == Collection::Events),
            path: columns
                .iter()
                .any(|column| column.name == "path" && left_out(&column.name))
                .then_some(members.len() + 1),
            members,
        }
    }

    /// Expressions to select: `owner`, which tells whose the row is, then the members.
    pub fn select(&self, owner: &str) -> String {
        let members = self.members.iter().map(|m| m.column.expression.as_str());
        std::iter::once(owner)
            .chain(members)
            .chain(self.path.map(|_| "path"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The same for the rows that meet a condition, and for those of [`Self::is_endless`]; of the others only whose they are and which.
    pub fn select_if(&self, owner: &str, condition: &str) -> String {
        let members: Vec<&str> = self
            .members
            .iter()
            .map(|m| m.column.expression.as_str())
            .collect();
        let id = self.id.checked_sub(1).and_then(|at| members.get(at));
        let endless = match self.deleted.and_then(|at| self.members.get(at - 1)) {
            Some(member) if member.column.kind == Kind::Double => {
                " OR deleted IN ('NaN', 'Infinity', '-Infinity')"
            }
            _ => "",
        };
        format!(
            "{owner}, {}, CASE WHEN {condition}{endless} THEN ROW({}) END",
            id.unwrap_or(&"''"),
            members.join(", ")
        )
    }

    /// Whether the row says that it was deleted at a time that is none: it is no record, and is read at every run.
    pub fn is_endless(&self, row: &Row) -> bool {
        let of = |at: usize| {
            let kind = self.members.get(at - 1)?.column.kind;
            not_finite(kind, row.get(at)?)
        };
        self.deleted.and_then(of).is_some()
    }

    /// Appends the record of a row. What is lost of it is the answer: a sentence for each value.
    ///
    /// # Errors
    /// A sentence, when the row cannot be a record.
    pub fn write(&self, row: &Row, out: &mut Vec<u8>) -> Result<Vec<String>, String> {
        let mut lost = Vec::new();
        let deleted = self.deleted.is_some_and(|at| row.get(at).is_some());
        let shared = self.kind.is_some_and(|at| row.get(at) == Some(b"shared"));
        let bare = deleted && self.collection == Collection::Streams;
        let start = out.len();
        out.push(b'{');
        for (i, member) in self.members.iter().enumerate() {
            let at = i + 1;
            if bare && at != self.id && Some(at) != self.deleted && !member.further {
                continue;
            }
            // JSON's null is as good as none.
            let absent = |value: &[u8]| {
                (member.column.kind.is_json() && value == b"\x01null")
                    || (member.false_left_out && value == b"\0")
            };
            let mut value = row.get(at).filter(|value| !absent(value));
            // A deleted record must not come back as a live one.
            if let Some(number) = value.and_then(|value| not_finite(member.column.kind, value))
                && Some(at) != self.deleted
            {
                lost.push(json::lost(&member.column.name, number));
                value = None;
            }
            let kept = match member.null {
                Null::Omitted => false,
                Null::Kept => row.get(at).is_none() || !member.false_left_out,
                Null::KeptIfLive => !deleted,
                Null::KeptIfShared => shared,
            };
            if value.is_none() && !kept {
                continue;
            }
            if out.len() > start + 1 {
                out.push(b',');
            }
            out.extend_from_slice(&member.key);
            match value {
                Some(value) => push(member.column.kind, value, out)
                    .map_err(|what| format!("{}: {what}", member.column.name))?,
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        std::str::from_utf8(&out[start..])
            .map(|_| lost)
            .map_err(|_| "its text is not UTF-8".to_owned())
    }

    /// Whether the row is a version of another event.
    pub fn is_version(&self, row: &Row) -> bool {
        let events = self.collection == Collection::Events;
        events && self.head.is_some_and(|at| row.get(at).is_some())
    }

    /// Where a deleted stream was: its record does not tell.
    pub fn deleted_path<'a>(&self, row: &'a Row) -> Option<&'a [u8]> {
        row.get(self.deleted?)?;
        row.get(self.path?)
    }

    /// The record's name, for messages.
    pub fn id(&self, row: &Row) -> String {
        String::from_utf8_lossy(self.key(row)).into_owned()
    }

    /// Identity of the record.
    pub fn key<'a>(&self, row: &'a Row) -> &'a [u8] {
        row.get(self.id).unwrap_or_default()
    }

    /// The attachments that an event lists; history versions only repeat what their event lists or listed.
    pub fn listing<'a>(&self, row: &'a Row) -> Option<AttachmentListing<'a>> {
        let stored = row.get(self.attachments?)?;
        if self.head.is_some_and(|at| row.get(at).is_some()) {
            return None;
        }
        Some(AttachmentListing {
            event_id: row.get(self.id)?,
            deleted: self.deleted.is_some_and(|at| row.get(at).is_some()),
            text: json_text(stored).ok()?,
        })
    }
}

impl Member {
    fn new(collection: Collection, column: Column) -> Self {
        let name = column.name.as_str();
        let audit = collection == Collection::Audit;
        let events = collection == Collection::Events;
        let null = match name {
            _ if audit => Null::Kept,
            "end_time" if events => Null::KeptIfLive,
            _ if events => Null::Omitted,
            "trashed" | "parent_id" | "description" | "end_time" | "head_id" => Null::Kept,
            "device_name" => Null::KeptIfShared,
            _ => Null::Omitted,
        };
        let false_left_out = match collection {
            Collection::Streams => matches!(name, "trashed" | "single_activity"),
            Collection::Events => name == "trashed",
            _ => false,
        };
        let mut key = Vec::new();
        let name = if audit { name } else { camel_case(name) };
        push_string(name.as_bytes(), &mut key);
        key.push(b':');
        Self {
            key,
            null,
            false_left_out,
            further: collection == Collection::Streams && !STREAMS.contains(&column.name.as_str()),
            column,
        }
    }
}

/// The member that a column stands for; a column that Pryv.io does not know is its own name.
pub fn camel_case(column: &str) -> &str {
    const NAMES: [(&str, &str); 24] = [
        ("parent_id", "parentId"),
        ("client_data", "clientData"),
        ("single_activity", "singleActivity"),
        ("head_id", "headId"),
        ("stream_ids", "streamIds"),
        ("stream_id", "streamId"),
        ("profile_id", "profileId"),
        ("end_time", "endTime"),
        ("created_by", "createdBy"),
        ("created_by_serial", "createdBySerial"),
        ("modified_by", "modifiedBy"),
        ("modified_by_serial", "modifiedBySerial"),
        ("access_id", "accessId"),
        ("access_token", "accessToken"),
        ("device_name", "deviceName"),
        ("run_count", "runCount"),
        ("fail_count", "failCount"),
        ("last_run", "lastRun"),
        ("current_retries", "currentRetries"),
        ("max_retries", "maxRetries"),
        ("min_interval_ms", "minIntervalMs"),
        ("integrity_batch_code", "integrityBatchCode"),
        ("last_used", "lastUsed"),
        ("user_id", "userId"),
    ];
    let known = NAMES.iter().find(|(name, _)| *name == column);
    known.map_or(column, |(_, member)| member)
}
