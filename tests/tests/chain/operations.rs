//! Changes on a platform between two runs, on either engine.

use pryv_backup_tests::{
    fill::random::Random,
    rich,
    rqlite::post,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use serde_json::json;
use std::{fs, path::PathBuf};

/// A platform on which things happen.
pub struct Live<'s> {
    stage: &'s Stage,
    platform: &'s Platform<'s>,
    pub random: Random,
    /// Id and name.
    users: Vec<(String, String)>,
    seed: u64,
}

/// The files of a user.
const LOCAL: &str = "local-1.0.0.sqlite";
const BASE: &str = "baseStorage-1.0.0.sqlite";
const AUDIT: &str = "audit-1.0.0.sqlite";
const ACCOUNT: &str = "account-1.0.0.sqlite";
const SERIES: &str = "series-1.0.0.sqlite";

type Operation = fn(&mut Live<'_>, &User);

#[derive(Clone)]
pub struct User {
    id: String,
    name: String,
}

const OPERATIONS: [(&str, Operation); 24] = [
    ("create an event", |live, user| live.create_event(user)),
    ("attach a file", |live, user| live.attach(user)),
    ("change an event", |live, user| {
        let n = live.random.next();
        live.event(
            user,
            &format!("content = '\"changed {n}\"', modified = {}", n % 99),
        );
    }),
    ("trash an event", |live, user| {
        let is_true = if live.sqlite() { "1" } else { "true" };
        live.event(user, &format!("trashed = {is_true}"));
    }),
    ("delete an event", |live, user| {
        let streams = live.pick("stream_ids = NULL", "streamIds = '..'");
        live.event(
            user,
            &format!("deleted = 99.5, content = NULL, time = NULL, type = NULL, {streams}"),
        );
    }),
    ("delete an event with its versions", |live, user| {
        live.delete_event(user)
    }),
    ("keep a version of an event", |live, user| {
        live.keep_version(user)
    }),
    ("purge versions", |live, user| {
        live.in_table(
            user,
            "events",
            LOCAL,
            "DELETE FROM events WHERE {mine} AND {head} IS NOT NULL",
        );
    }),
    ("delete an access", |live, user| {
        live.one_in(user, "accesses", "deleted = 123.5");
    }),
    ("remove an access", |live, user| {
        live.remove_one(user, "accesses")
    }),
    ("delete a stream", |live, user| {
        live.one_in(user, "streams", "deleted = 77.5");
    }),
    ("remove a stream", |live, user| {
        live.remove_one(user, "streams")
    }),
    ("change a profile", |live, user| {
        let n = live.random.next();
        live.one_in(user, "profile", &format!("data = '{{\"x\":{n}}}'"));
    }),
    ("remove a profile", |live, user| {
        live.remove_one(user, "profile")
    }),
    ("run a webhook", |live, user| {
        let n = live.random.below(1000);
        let set = live.pick(
            &format!("run_count = {n}"),
            &format!("data = json_set(data, '$.runCount', {n})"),
        );
        live.one_in(user, "webhooks", &set);
    }),
    ("remove a webhook", |live, user| {
        live.remove_one(user, "webhooks")
    }),
    ("add points", |live, user| live.add_points(user)),
    ("change points", |live, user| {
        let n = live.random.below(9);
        let sql = format!(
            "UPDATE series_data SET fields = '{{\"value\":{n}}}' WHERE delta_time % 3 = {} AND {{mine}}",
            n % 3
        );
        live.in_series(user, &sql);
    }),
    ("remove a measurement", |live, user| {
        live.in_series(user, "DELETE FROM series_data WHERE event_id = (SELECT min(event_id) FROM series_data WHERE {mine}) AND {mine}");
    }),
    ("audit", |live, user| live.audit(user)),
    ("drop old audit records", |live, user| {
        let n = 1_600_000_000 + live.random.below(20_000_000);
        live.in_table(
            user,
            "audit_events",
            AUDIT,
            &format!("DELETE FROM {{table}} WHERE {{mine}} AND time < {n}"),
        );
    }),
    ("change an account", |live, user| live.account(user)),
    ("change entries of the platform", |live, user| {
        live.entries(user)
    }),
    ("log in and out", |live, user| live.log_in(user)),
];

impl<'s> Live<'s> {
    /// An empty platform, filled with some users.
    pub fn new(stage: &'s Stage, platform: &'s Platform<'s>, seed: u64) -> Self {
        let mut live = Live {
            stage,
            platform,
            random: Random::new(seed + 1000),
            users: Vec::new(),
            seed: seed * 1000,
        };
        live.register(2);
        live
    }

    /// Lets something happen to somebody, and says what.
    pub fn step(&mut self) -> String {
        let (id, name) = self.users[self.random.below(self.users.len())].clone();
        let user = User { id, name };
        match self.random.below(OPERATIONS.len() + 3) {
            0 => {
                self.register(1);
                "register".to_owned()
            }
            1 => {
                self.rename(&user);
                format!("rename {}", user.name)
            }
            2 if self.users.len() > 1 => {
                self.remove(&user);
                format!("remove {}", user.name)
            }
            n => {
                let (what, operation) = OPERATIONS[n % OPERATIONS.len()];
                operation(self, &user);
                format!("{what} of {}", user.name)
            }
        }
    }

    fn sqlite(&self) -> bool {
        self.platform.database.is_none()
    }

    fn pick(&self, postgres: &str, sqlite: &str) -> String {
        if self.sqlite() { sqlite } else { postgres }.to_owned()
    }

    fn register(&mut self, count: usize) {
        self.seed += 1;
        let new = rich::fill(self.stage, self.platform, count, self.seed);
        self.users
            .extend(new.into_iter().map(|user| (user.id, user.name)));
    }

    fn file(&self, owner: &str, name: &str) -> PathBuf {
        rich::folder(&self.platform.users, owner).join(name)
    }

    /// Runs a statement on a table of a user. `{mine}` is the condition on its rows, `{id}` and `{head}` are columns.
    fn in_table(&self, user: &User, table: &str, file: &str, sql: &str) {
        self.as_owner(&user.id, table, file, sql);
    }

    fn in_series(&self, user: &User, sql: &str) {
        self.as_owner(&format!("user.{}", user.name), "series_data", SERIES, sql);
    }

    fn as_owner(&self, owner: &str, table: &str, file: &str, sql: &str) {
        let mine = format!("user_id = '{owner}'");
        let event = matches!(table, "events" | "audit_events");
        let names = if self.sqlite() {
            let table = if table == "audit_events" {
                "events"
            } else {
                table
            };
            [
                "true",
                if event { "eventid" } else { "id" },
                "headId",
                table,
            ]
        } else {
            let id = if table == "audit_events" {
                "eventid"
            } else {
                "id"
            };
            [mine.as_str(), id, "head_id", table]
        };
        let mut sql = sql.to_owned();
        for (name, value) in ["{mine}", "{id}", "{head}", "{table}"].iter().zip(names) {
            sql = sql.replace(name, value);
        }
        if !self.sqlite() {
            self.platform.sql(&sql);
            return;
        }
        let path = self.file(owner, file);
        if path.exists() {
            let database = Connection::open(path).unwrap();
            database
                .execute_batch(&sql)
                .unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    }

    /// Changes one event that is no version.
    fn event(&mut self, user: &User, set: &str) {
        let n = self.random.below(60);
        let sql = format!(
            "UPDATE events SET {set} WHERE {{mine}} AND {{id}} = (SELECT {{id}} FROM events WHERE {{mine}} AND {{head}} IS NULL \
             ORDER BY {{id}} LIMIT 1 OFFSET {n})"
        );
        self.in_table(user, "events", LOCAL, &sql);
    }

    fn one_in(&mut self, user: &User, table: &str, set: &str) {
        let n = self.random.below(3);
        let sql = format!(
            "UPDATE {table} SET {set} WHERE {{mine}} AND id = (SELECT id FROM {table} WHERE {{mine}} ORDER BY id LIMIT 1 OFFSET {n})"
        );
        self.in_table(user, table, BASE, &sql);
    }

    fn remove_one(&mut self, user: &User, table: &str) {
        let n = self.random.below(3);
        let sql = format!(
            "DELETE FROM {table} WHERE {{mine}} AND id = (SELECT id FROM {table} WHERE {{mine}} ORDER BY id LIMIT 1 OFFSET {n})"
        );
        self.in_table(user, table, BASE, &sql);
    }

    /// The first columns of an event in this engine.
    fn insert_event(&mut self, user: &User, id: &str, attachments: &str) {
        let User { id: owner, .. } = user;
        let n = self.random.below(1000);
        let sql = self.pick(
            &format!(
                "INSERT INTO events (user_id, id, stream_ids, time, end_time, type, content, attachments, created, created_by, modified, modified_by) \
                 VALUES ('{owner}', '{id}', '[\"s1\"]', {n}.5, {n}.5, 'note/txt', '\"new\"', {attachments}, 1, 'a', 1, 'a')"
            ),
            &format!(
                "INSERT INTO events (eventid, streamIds, time, endTime, type, content, attachments, created, createdBy, modified, modifiedBy) \
                 VALUES ('{id}', 's1 ..', {n}.5, {n}.5, 'note/txt', '\"new\"', {attachments}, 1, 'a', 1, 'a')"
            ),
        );
        self.in_table(user, "events", LOCAL, &sql);
    }

    fn create_event(&mut self, user: &User) {
        let id = self.random.id();
        self.insert_event(user, &id, "NULL");
    }

    fn attach(&mut self, user: &User) {
        let (event, file) = (self.random.id(), self.random.id());
        let folder = self.file(&user.id, "attachments").join(&event);
        fs::create_dir_all(&folder).unwrap();
        let mut content = vec![0; self.random.below(5000)];
        self.random.fill(&mut content);
        fs::write(folder.join(&file), &content).unwrap();
        let listed = format!(
            "'[{{\"id\":\"{file}\",\"fileName\":\"f\",\"type\":\"text/plain\",\"size\":{}}}]'",
            content.len()
        );
        self.insert_event(user, &event, &listed);
    }

    fn delete_event(&mut self, user: &User) {
        let n = self.random.below(40);
        let chosen = format!(
            "(SELECT {{id}} FROM events WHERE {{mine}} AND {{head}} IS NULL ORDER BY {{id}} LIMIT 1 OFFSET {n})"
        );
        let sql = format!(
            "DELETE FROM events WHERE {{mine}} AND {{head}} = {chosen}; DELETE FROM events WHERE {{mine}} AND {{id}} = {chosen}"
        );
        self.in_table(user, "events", LOCAL, &sql);
    }

    fn keep_version(&mut self, user: &User) {
        let (n, id, owner) = (self.random.below(40), self.random.id(), &user.id);
        let sql = self.pick(
            &format!(
                "INSERT INTO events (user_id, id, head_id, time, type, content, created, modified) SELECT user_id, '{id}', id, time, type, content, created, modified \
                 FROM events WHERE user_id = '{owner}' AND head_id IS NULL ORDER BY id LIMIT 1 OFFSET {n}"
            ),
            &format!(
                "INSERT INTO events (eventid, headId, streamIds, time, type, content, created, modified) SELECT '{id}', eventid, '..', time, type, content, created, modified \
                 FROM events WHERE headId IS NULL ORDER BY eventid LIMIT 1 OFFSET {n}"
            ),
        );
        self.in_table(user, "events", LOCAL, &sql);
    }

    fn add_points(&mut self, user: &User) {
        let (name, n) = (&user.name, self.random.below(1_000_000));
        let owner = format!("user.{name}");
        for k in 0..3 {
            let row = format!("'event.more', {t}, {t}, '{{\"value\":{k}}}'", t = n + k);
            let sql = self.pick(
                &format!("INSERT INTO series_data (user_id, event_id, point_time, delta_time, fields) VALUES ('{owner}', {row}) ON CONFLICT DO NOTHING"),
                &format!("INSERT OR IGNORE INTO series_data VALUES ({row})"),
            );
            self.in_series(user, &sql);
        }
    }

    fn audit(&mut self, user: &User) {
        let (id, owner) = (self.random.id(), &user.id);
        let sql = self.pick(
            &format!("INSERT INTO audit_events (user_id, eventid, stream_ids, time, type, content) VALUES ('{owner}', '{id}', '..', 1650000000.5, 'audit-log/pryv-api', '{{}}')"),
            &format!("INSERT INTO events (eventid, streamIds, time, type, content) VALUES ('{id}', '..', 1650000000.5, 'audit-log/pryv-api', '{{}}')"),
        );
        self.in_table(user, "audit_events", AUDIT, &sql);
    }

    fn account(&mut self, user: &User) {
        let (n, owner) = (self.random.below(1_000_000), &user.id);
        let sql = match n % 4 {
            0 => self.pick(
                &format!("INSERT INTO passwords VALUES ('{owner}', {n}.5, 'hash', 'x') ON CONFLICT DO NOTHING"),
                &format!("INSERT OR IGNORE INTO passwords VALUES ({n}.5, 'hash', 'x')"),
            ),
            1 => self.pick(
                &format!("INSERT INTO account_fields VALUES ('{owner}', 'language', '\"l{n}\"', {n}.5, 'x') ON CONFLICT DO NOTHING"),
                &format!("INSERT OR IGNORE INTO account_fields VALUES ('language', '\"l{n}\"', {n}.5, 'x')"),
            ),
            2 => self.pick(
                &format!("DELETE FROM store_key_values WHERE user_id = '{owner}' AND key = 'key/{} é'", n % 22),
                &format!("DELETE FROM storeKeyValueData WHERE key = 'key/{} é'", n % 22),
            ),
            _ => self.pick(
                &format!("UPDATE store_key_values SET value = '{n}' WHERE user_id = '{owner}' AND key = 'key/{} é'", n % 22),
                &format!("UPDATE storeKeyValueData SET value = '{n}' WHERE key = 'key/{} é'", n % 22),
            ),
        };
        self.in_table(user, "", ACCOUNT, &sql);
    }

    fn set_entry(&self, key: &str, value: Option<&str>) {
        let quoted = |text: &str| text.replace('\'', "''");
        match (&self.platform.rqlite, value) {
            (None, Some(value)) => {
                let (key, value) = (quoted(key), quoted(value));
                self.platform.sql(&format!(
                    "INSERT INTO platform_kv VALUES ('{key}', '{value}') ON CONFLICT (key) DO UPDATE SET value = excluded.value"
                ));
            }
            (None, None) => {
                let sql = format!("DELETE FROM platform_kv WHERE key = '{}'", quoted(key));
                self.platform.sql(&sql);
            }
            (Some(rqlite), value) => {
                let mut all = vec![json!(["DELETE FROM keyValue WHERE key = ?", key])];
                all.extend(
                    value.map(|v| {
                        json!(["INSERT INTO keyValue (key, value) VALUES (?, ?)", key, v])
                    }),
                );
                let (status, answer) = post(&rqlite.url, "/db/execute", &json!(all));
                assert_eq!(status, 200, "{answer}");
            }
        }
    }

    fn entries(&mut self, user: &User) {
        let (n, name) = (self.random.below(50), &user.name);
        match n % 5 {
            0 => self.set_entry(&format!("user-unique/phone/{n}"), Some(name)),
            1 => self.set_entry(
                &format!("user-indexed/language/{name}"),
                Some(&format!("l{n}")),
            ),
            2 => self.set_entry(&format!("invitation/{n}"), Some("{}")),
            3 => self.set_entry(&format!("user-unique/phone/{}", n - 3), None),
            _ => self.set_entry(&format!("invitation/{}", n - 2), None),
        }
    }

    fn in_all(&self, postgres: &str, file: &str, sqlite: &str) {
        if !self.sqlite() {
            self.platform.sql(postgres);
            return;
        }
        let database = Connection::open(self.platform.users.join(file)).unwrap();
        database
            .execute_batch(sqlite)
            .unwrap_or_else(|e| panic!("{sqlite}: {e}"));
    }

    fn log_in(&mut self, user: &User) {
        let (n, name) = (self.random.below(5), &user.name);
        let data = format!("{{\"username\":\"{name}\",\"appId\":\"x\"}}");
        let sqlite = format!(
            "DELETE FROM sessions WHERE id = 's{n}'; INSERT INTO sessions VALUES ('t{n}', '{data}', 1900000000000) ON CONFLICT DO NOTHING"
        );
        let postgres = format!(
            "DELETE FROM sessions WHERE id = 's{n}'; INSERT INTO sessions VALUES ('t{n}', '{data}', to_timestamp(1900000000)) ON CONFLICT DO NOTHING"
        );
        self.in_all(&postgres, "_shared/baseStorage.sqlite", &sqlite);
    }

    /// As Pryv.io does it: the account remembers the name, and the series stay where they are.
    fn rename(&mut self, user: &User) {
        let (old, owner, n) = (&user.name, &user.id, self.random.below(1_000_000));
        let new = format!("renamed-{n}");
        if self.users.iter().any(|(_, name)| *name == new) {
            return;
        }
        let field = self.pick(
            &format!("INSERT INTO account_fields VALUES ('{owner}', 'username', '\"{new}\"', {n}.75, 'x') ON CONFLICT DO NOTHING"),
            &format!("INSERT OR IGNORE INTO account_fields VALUES ('username', '\"{new}\"', {n}.75, 'x')"),
        );
        self.in_table(user, "", ACCOUNT, &field);
        self.in_all(
            &format!("UPDATE users_index SET username = '{new}' WHERE username = '{old}'"),
            "user-index.db",
            &format!("UPDATE id4name SET username = '{new}' WHERE username = '{old}'"),
        );
        for (id, name) in &mut self.users {
            if id == owner {
                name.clone_from(&new);
            }
        }
    }

    fn remove(&mut self, user: &User) {
        let (id, name) = (&user.id, &user.name);
        let tables = [
            "accesses",
            "account_fields",
            "audit_events",
            "event_streams",
            "events",
            "passwords",
            "profile",
            "store_key_values",
            "streams",
            "webhooks",
            "alias_index",
            "users_index",
        ];
        let sql: String = tables
            .iter()
            .map(|table| format!("DELETE FROM {table} WHERE user_id = '{id}';"))
            .collect();
        self.in_all(
            &format!("{sql} DELETE FROM series_data WHERE user_id = 'user.{name}'"),
            "user-index.db",
            &format!("DELETE FROM id4name WHERE userId = '{id}'; DELETE FROM alias4id WHERE userId = '{id}'"),
        );
        for owner in [id.clone(), format!("user.{name}")] {
            let _ = fs::remove_dir_all(rich::folder(&self.platform.users, &owner));
        }
        self.users.retain(|(known, _)| known != id);
    }
}
