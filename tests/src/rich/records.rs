//! The records of the users.

use super::{Row, camel};
use crate::fill::random::Random;
use base64ct::{Base64, Encoding};
use decryptor_wasm::integrity::{Hashed, digest};

/// A user, its rows by table, and its files.
pub struct RichUser {
    /// The user id.
    pub id: String,
    /// The username.
    pub name: String,
    /// Rows, in the order in which they were made.
    pub tables: Vec<(&'static str, Vec<Row>)>,
    /// Event, file id and content.
    pub attachments: Vec<(String, String, Vec<u8>)>,
}

impl RichUser {
    /// All rows, each with its table.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &Row)> {
        let tables = self.tables.iter();
        tables.flat_map(|(table, rows)| rows.iter().map(|row| (*table, row)))
    }
}

/// Values that something or other along the way might round, cut, escape or lose.
pub(super) const ODD: [&str; 22] = [
    "0",
    "-0",
    "1e21",
    "5e-324",
    "1.7976931348623157e308",
    "9007199254740993",
    "123456789012345678901234567890",
    "-0.10",
    "true",
    "false",
    "\"\"",
    "\"null\"",
    "\"\\\\u0000 is no NUL\"",
    "\"tab\\t line\\n return\\r quote\\\" back\\\\slash\"",
    "\"\u{2028}\u{feff}\u{200d} e\u{301} \u{1f469}\u{200d}\u{1f467} \u{10ffff}\"",
    "\"\\\\N\"",
    "\"'; DROP TABLE events; --\"",
    "[]",
    "{}",
    "[null,[1,{\"a\":null}],\"\\\\.\"]",
    "{\"user_id\":\"x\",\"\":1,\"a.b\":{\"c\":[]},\"\u{e9}\":0.1}",
    "{\"deep\":[[[[[[[[[[[[{\"x\":1}]]]]]]]]]]]]}",
];

/// Users with everything. Those for the SQLite engine also have what only that one can hold: a NUL in a text, keys that have no
/// column.
pub fn users(count: usize, seed: u64, sqlite: bool) -> Vec<RichUser> {
    let random = &mut Random::new(seed);
    (0..count)
        .map(|number| {
            let mut maker = Maker {
                user: RichUser {
                    id: random.id(),
                    name: format!("rich-{seed}-{number}"),
                    tables: Vec::new(),
                    attachments: Vec::new(),
                },
                access: random.id(),
                random,
                sqlite,
            };
            maker.account();
            maker.streams();
            maker.accesses();
            maker.webhooks();
            maker.events();
            maker.audit();
            maker.series();
            maker.user
        })
        .collect()
}

pub(super) struct Maker<'r> {
    pub(super) user: RichUser,
    access: String,
    pub(super) random: &'r mut Random,
    pub(super) sqlite: bool,
}

pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Maker<'_> {
    /// Adds a row; every table but those of all users names the user.
    pub(super) fn put(&mut self, table: &'static str, mut row: Row) {
        let shared = ["sessions", "password_resets", "platform_kv"];
        if !shared.contains(&table) && table != "series_data" {
            row.insert(0, ("user_id", quote(&self.user.id)));
        }
        let tables = &mut self.user.tables;
        match tables.iter_mut().find(|(known, _)| *known == table) {
            Some((_, rows)) => rows.push(row),
            None => tables.push((table, vec![row])),
        }
    }

    pub(super) fn odd(&mut self) -> String {
        ODD[self.random.below(ODD.len())].to_owned()
    }

    pub(super) fn time(&mut self) -> String {
        format!(
            "{}.{}",
            1_600_000_000 + self.random.below(100_000_000),
            1 + self.random.below(998)
        )
        .trim_end_matches('0')
        .to_owned()
    }

    pub(super) fn author(&mut self) -> Row {
        let by = quote(&self.access);
        vec![
            ("created", self.time()),
            ("created_by", by.clone()),
            ("modified", self.time()),
            ("modified_by", by),
        ]
    }

    fn account(&mut self) {
        let (name, by) = (self.user.name.clone(), quote(&self.access));
        self.put("users_index", vec![("username", quote(&name))]);
        let alias = quote(&format!("formerly-{name}"));
        self.put("alias_index", vec![("alias", alias)]);
        for n in 0..3 {
            let hash = quote(&format!("$2a$10${}", self.random.id()));
            let row = vec![
                ("time", format!("160000000{n}.5")),
                ("hash", hash),
                ("created_by", by.clone()),
            ];
            self.put("passwords", row);
        }
        for (n, value) in ODD.into_iter().enumerate() {
            let row = vec![
                ("store_id", quote(["local", "account"][n % 2])),
                ("key", quote(&format!("key/{n} \u{e9}"))),
                ("value", value.to_owned()),
            ];
            self.put("store_key_values", row);
        }
        let email = format!("{name}+a/b@x.example");
        for (n, (field, value)) in [
            ("email", quote("old@x.example")),
            ("email", quote(&email)),
            ("language", quote("fr")),
            ("username", quote(&name)),
            ("dbDocuments", "12".to_owned()),
            ("phoneNumber", "null".to_owned()),
        ]
        .into_iter()
        .enumerate()
        {
            let row = vec![
                ("field", quote(field)),
                ("value", value),
                ("time", format!("160000000{n}.25")),
                ("created_by", by.clone()),
            ];
            self.put("account_fields", row);
        }
        for (key, value) in [
            (format!("user-unique/email/{email}"), name.clone()),
            (format!("user-indexed/language/{name}"), "fr".to_owned()),
            (format!("user-core/{name}"), "single".to_owned()),
        ] {
            let row = vec![("key", quote(&key)), ("value", quote(&value))];
            self.put("platform_kv", row);
        }
        let data = format!("{{\"username\":{},\"appId\":\"x\"}}", quote(&name));
        let row = vec![
            ("id", quote(&self.random.id())),
            ("data", data),
            ("expires", "1900000000123".to_owned()),
        ];
        self.put("sessions", row);
        let row = vec![
            ("id", quote(&self.random.id())),
            ("username", quote(&name)),
            ("expires", "1900000000456".to_owned()),
        ];
        self.put("password_resets", row);
        for id in ["private", "public", "an app \u{1f4f1}"] {
            let data = format!("{{\"x\":{}}}", self.odd());
            self.put("profile", vec![("id", quote(id)), ("data", data)]);
        }
    }

    /// A tree whose children come before their parents.
    fn streams(&mut self) {
        let depth = 6;
        for n in (0..24_usize).rev() {
            let (level, parent) = (n % depth, n.checked_sub(1));
            let parent = match parent.filter(|_| level > 0) {
                Some(parent) => quote(&format!("s{parent}")),
                None => "null".to_owned(),
            };
            let path: Vec<String> = (n - level..=n).map(|k| format!("s{k}/")).collect();
            let mut row = vec![
                ("id", quote(&format!("s{n}"))),
                ("name", quote(&format!("Stream {n} \u{1f30d}"))),
                ("parent_id", parent),
                ("path", quote(&path.concat())),
                ("client_data", format!("{{\"x\":{}}}", self.odd())),
                ("trashed", (n % 7 == 3).to_string()),
                ("single_activity", (n % 5 == 2).to_string()),
            ];
            row.extend(self.author());
            self.put("streams", row);
        }
        let row = vec![
            ("id", quote("gone")),
            ("path", quote("gone/")),
            ("deleted", "1700000000.25".to_owned()),
        ];
        self.put("streams", row);
    }

    fn accesses(&mut self) {
        let head = self.random.id();
        let kinds = [
            (self.access.clone(), "personal", None),
            (self.random.id(), "app", None),
            (head.clone(), "shared", None),
            (self.random.id(), "shared", Some(&head)),
            (self.random.id(), "shared", Some(&head)),
            (self.random.id(), "app", None),
        ];
        for (n, (id, kind, head_id)) in kinds.into_iter().enumerate() {
            let mut row = vec![
                ("id", quote(&id)),
                ("token", quote(&format!("token-{id}"))),
                ("name", quote(&format!("access {}", if head_id.is_some() { 2 } else { n }))),
                ("type", quote(kind)),
                ("permissions", "[{\"streamId\":\"s0\",\"level\":\"manage\"},{\"feature\":\"selfRevoke\",\"setting\":\"forbidden\"}]".to_owned()),
                ("client_data", format!("{{\"x\":{}}}", self.odd())),
                ("calls", "{\"events:get\":4}".to_owned()),
                ("last_used", self.time()),
            ];
            row.extend(self.author());
            if n == 1 {
                row.push(("device_name", quote("phone \u{1f4f1}")));
                row.push(("expires", "1826946564.621".to_owned()));
                let alias = quote(&format!("r-{id}"));
                row.push(("alias", alias.clone()));
                self.put("alias_index", vec![("alias", alias)]);
            }
            if kind == "shared" {
                row.push(("serial", n.to_string()));
                row.push(("created_by_serial", "1".to_owned()));
            }
            if let Some(head_id) = head_id {
                row.push(("head_id", quote(head_id)));
            }
            if n == 5 {
                row.push(("deleted", "1700000000.5".to_owned()));
            }
            if n == 1 && self.sqlite {
                row.push(("of_the_future", "{\"a\":[1]}".to_owned()));
            }
            if head_id.is_none() {
                let entry = serde_json::json!({"accessId": id, "username": self.user.name});
                let key = quote(&format!("access-index/{id}"));
                let row = vec![("key", key), ("value", quote(&entry.to_string()))];
                self.put("platform_kv", row);
            }
            let hash = hash(Hashed::Access, &row);
            row.push(("integrity", hash));
            self.put("accesses", row);
        }
    }

    fn webhooks(&mut self) {
        let mut row = vec![
            ("id", quote(&self.random.id())),
            ("access_id", quote(&self.access)),
            ("url", quote("https://x.example/hook?a=%20&b=\u{e9}")),
            ("state", quote("active")),
            ("run_count", "3".to_owned()),
            ("fail_count", "0".to_owned()),
            ("current_retries", "0".to_owned()),
            ("max_retries", "5".to_owned()),
            ("min_interval_ms", "5000".to_owned()),
            ("last_run", "{\"status\":200,\"timestamp\":1.5}".to_owned()),
            ("runs", "[{\"status\":200,\"timestamp\":1.5}]".to_owned()),
            ("scopes", "{\"s\":{\"kind\":\"k\"}}".to_owned()),
        ];
        row.extend(self.author());
        self.put("webhooks", row);
        let row = vec![
            ("id", quote(&self.random.id())),
            ("deleted", "1700000000.75".to_owned()),
        ];
        self.put("webhooks", row);
    }

    fn audit(&mut self) {
        for n in 0..30 {
            let time = self.time();
            let content = format!(
                "{{\"action\":\"events.get\",\"source\":{{\"name\":\"http\"}},\"query\":{{\"x\":{}}}}}",
                self.odd()
            );
            let row = vec![
                ("eventid", quote(&self.random.id())),
                (
                    "stream_ids",
                    quote(&format!("access-{} action-events.get ..", self.access)),
                ),
                ("time", time.clone()),
                ("end_time", time.clone()),
                (
                    "type",
                    quote(if n % 5 == 0 {
                        "audit-log/pryv-api-error"
                    } else {
                        "audit-log/pryv-api"
                    }),
                ),
                (
                    "content",
                    if n == 7 {
                        "\"a text\"".to_owned()
                    } else {
                        content
                    },
                ),
                (
                    "attachments",
                    if n == 8 {
                        "[]".to_owned()
                    } else {
                        "null".to_owned()
                    },
                ),
                ("trashed", "false".to_owned()),
                ("created", time.clone()),
                ("created_by", quote("system")),
                ("modified", time),
                ("modified_by", quote("system")),
            ];
            self.put("audit_events", row);
        }
    }

    fn series(&mut self) {
        let namespace = quote(&format!("user.{}", self.user.name));
        for measurement in 0..3 {
            let name = quote(&format!("event.{}", self.random.id()));
            for point in 0..40u64 {
                let time = point * 4_393_911_305_278 + measurement;
                let row = vec![
                    ("user_id", namespace.clone()),
                    ("event_id", name.clone()),
                    ("point_time", time.to_string()),
                    ("delta_time", time.to_string()),
                    (
                        "fields",
                        format!("{{\"value\":{},\"x\":{}}}", point as f64 / 7.0, self.odd()),
                    ),
                ];
                self.put("series_data", row);
            }
        }
    }
}

/// The hash of a row as it comes out as a record.
pub(super) fn hash(kind: Hashed, row: &Row) -> String {
    let members: Vec<String> = row
        .iter()
        .filter(|(_, value)| value != "null")
        .map(|(name, value)| format!("\"{}\":{value}", camel(name)))
        .collect();
    let record = format!("{{{}}}", members.join(","));
    let sum = Base64::encode_string(&digest(kind, record.as_bytes()).unwrap());
    match kind {
        Hashed::Event => format!("\"EVENT:0:sha256-{sum}\""),
        Hashed::Access => format!("\"ACCESS:0:sha256-{sum}\""),
    }
}
