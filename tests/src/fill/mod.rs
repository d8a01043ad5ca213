//! A PostgreSQL platform of any size, made up: for benchmarks, and for tests that need much or many.

pub mod random;

use crate::postgres::Postgres;
use decryptor_wasm::integrity::{self, Hashed};
use random::Random;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const SCHEMA: &str = include_str!("schema.sql");
const INDEXES: &str = include_str!("indexes.sql");
const STREAMS: [&str; 8] = [
    "diary", "weight", "heart", "sleep", "position", "meals", "travel", "work",
];
const TYPES: [&str; 4] = ["mass/kg", "note/txt", "frequency/bpm", "position/wgs84"];
const WORDS: [&str; 16] = [
    "today",
    "morning",
    "felt",
    "better",
    "walked",
    "along",
    "river",
    "evening",
    "slept",
    "poorly",
    "doctor",
    "called",
    "about",
    "results",
    "everything",
    "fine",
];
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How much there is to be of what.
#[derive(Clone, Copy, Default)]
pub struct Size {
    /// Users.
    pub users: usize,
    /// Events of each user.
    pub events: usize,
    /// Attachments of each user, each listed by an event of its own.
    pub attachments: usize,
    /// Bytes of each attachment.
    pub attachment_bytes: usize,
    /// Seed of all random values.
    pub seed: u64,
}

/// Fills a new database, and the folder of the users' files; returns the name of the database.
///
/// # Panics
/// When it cannot.
#[must_use]
pub fn platform(server: &Postgres, users_dir: &Path, size: &Size) -> String {
    let database = server.database();
    std::fs::create_dir_all(users_dir).unwrap();
    server.sql(&database, SCHEMA);
    let random = &mut Random::new(size.seed);
    let users: Vec<User> = (0..size.users)
        .map(|n| User {
            id: random.id(),
            name: format!("user{n:06}"),
            access: random.id(),
            files: (0..size.attachments)
                .map(|_| [random.id(), random.id()])
                .collect(),
        })
        .collect();
    let copy = |columns: &str, rows: &mut dyn FnMut(&User, &mut String)| {
        let mut table = CopyIn::begin(server, &database, columns);
        users
            .iter()
            .for_each(|user| table.rows(|out| rows(user, out)));
        table.end();
    };
    copy("users_index (username, user_id)", &mut |user, out| {
        let _ = writeln!(out, "{}\t{}", user.name, user.id);
    });
    let columns =
        "streams (user_id, id, name, parent_id, path, created, created_by, modified, modified_by)";
    copy(columns, &mut |user, out| {
        for id in STREAMS {
            let (user, by) = (&user.id, &user.access);
            let _ = writeln!(
                out,
                "{user}\t{id}\tThe {id}\t\\N\t{id}/\t1700000000.5\t{by}\t1700000001.25\t{by}"
            );
        }
    });
    let columns = "accesses (user_id, id, token, name, type, created, created_by, modified, modified_by, integrity)";
    copy(columns, &mut |user, out| {
        let (id, access) = (&user.id, &user.access);
        let token = random.id();
        let hash = hash(
            Hashed::Access,
            &format!(
                r#"{{"id":"{access}","token":"{token}","name":"an app","type":"personal","created":1700000000,"createdBy":"system","modified":1700000000,"modifiedBy":"system"}}"#
            ),
        );
        let _ = writeln!(
            out,
            "{id}\t{access}\t{token}\tan app\tpersonal\t1700000000\tsystem\t1700000000\tsystem\t{hash}"
        );
    });
    copy("profile (user_id, id, data)", &mut |user, out| {
        let _ = writeln!(out, "{}\tprivate\t{{\"theme\": \"dark\"}}", user.id);
    });
    copy(
        "passwords (user_id, time, hash, created_by)",
        &mut |user, out| {
            let hash = random.text(BASE64, 53);
            let _ = writeln!(out, "{}\t1700000000.5\t$2a$10${hash}\tsystem", user.id);
        },
    );
    copy(
        "account_fields (user_id, field, value, time, created_by)",
        &mut |user, out| {
            let _ = writeln!(
                out,
                "{}\temail\t\"{}@x.example\"\t1700000000.5\tsystem",
                user.id, user.name
            );
        },
    );
    let columns = "events (user_id, id, stream_ids, time, end_time, type, content, description, client_data, attachments, integrity, created, created_by, modified, modified_by)";
    let mut events = CopyIn::begin(server, &database, columns);
    for user in &users {
        for (i, names) in user.files.iter().enumerate() {
            events.rows(|out| event(user, Some((names, size.attachment_bytes)), i, random, out));
        }
        for i in size.attachments..size.events.max(size.attachments) {
            events.rows(|out| event(user, None, i, random, out));
        }
    }
    events.end();
    server.sql(&database, INDEXES);

    let mut content = vec![0; size.attachment_bytes];
    for user in users.iter().filter(|user| !user.files.is_empty()) {
        let mut folder = users_dir.to_owned();
        folder.extend(user.id.chars().rev().take(3).map(String::from));
        folder.extend([&user.id, "attachments"]);
        for [event, file] in &user.files {
            fs::create_dir_all(folder.join(event)).unwrap();
            random.fill(&mut content);
            File::create(folder.join(event).join(file))
                .and_then(|mut out| out.write_all(&content))
                .unwrap();
        }
    }
    database
}

struct User {
    id: String,
    name: String,
    access: String,
    /// Event and file of each attachment.
    files: Vec<[String; 2]>,
}

/// One event, some 430 bytes as JSON.
fn event(
    user: &User,
    file: Option<(&[String; 2], usize)>,
    number: usize,
    random: &mut Random,
    out: &mut String,
) {
    let kind = random.one(&TYPES);
    let content = match kind {
        "note/txt" => {
            let words: Vec<_> = (0..12).map(|_| random.one(&WORDS)).collect();
            format!("\"{}\"", words.join(" "))
        }
        "position/wgs84" => format!(
            "{{\"latitude\": 46.{:06}, \"longitude\": 6.{:06}}}",
            random.below(1_000_000),
            random.below(1_000_000)
        ),
        _ => format!("{}.{}", 40 + random.below(80), 1 + random.below(9)),
    };
    let time = 1_600_000_000.0 + number as f64 * 61.0 + random.below(1000) as f64 / 1000.0;
    let id = file.map_or_else(|| random.id(), |([event, _], _)| event.clone());
    let attachments = file.map_or("\\N".to_owned(), |([_, file], bytes)| {
        let hash = random.text(BASE64, 43);
        format!("[{{\"id\": \"{file}\", \"fileName\": \"picture.jpg\", \"type\": \"image/jpeg\", \"size\": {bytes}, \"integrity\": \"sha256-{hash}=\"}}]")
    });
    let (description, client_data) = match random.below(4) {
        0 => (
            "imported from the old diary",
            "{\"app:source\": {\"id\": 12, \"kind\": \"import\"}}",
        ),
        _ => ("\\N", "\\N"),
    };
    let (owner, by, stream) = (&user.id, &user.access, random.one(&STREAMS));
    let modified = time + 0.5;
    let mut record = format!(
        r#"{{"id":"{id}","streamIds":["{stream}"],"time":{time:.3},"endTime":{time:.3},"type":"{kind}","content":{content},"created":{time:.3},"createdBy":"{by}","modified":{modified:.3},"modifiedBy":"{by}""#
    );
    for (name, value) in [("clientData", client_data), ("attachments", &attachments)] {
        if value != "\\N" {
            let _ = write!(record, r#","{name}":{value}"#);
        }
    }
    if description != "\\N" {
        let _ = write!(record, r#","description":"{description}""#);
    }
    record.push('}');
    let hash = hash(Hashed::Event, &record);
    let _ = writeln!(
        out,
        "{owner}\t{id}\t[\"{stream}\"]\t{time:.3}\t{time:.3}\t{kind}\t{content}\t{description}\t{client_data}\t{attachments}\t{hash}\t{time:.3}\t{by}\t{modified:.3}\t{by}"
    );
}

/// The hash that Pryv.io keeps in a record.
fn hash(kind: Hashed, record: &str) -> String {
    let digest = integrity::digest(kind, record.as_bytes()).unwrap();
    let name = match kind {
        Hashed::Event => "EVENT",
        Hashed::Access => "ACCESS",
    };
    format!("{name}:0:{}", integrity::attachment(&digest))
}

/// Rows on their way into a table.
struct CopyIn {
    psql: std::process::Child,
    waiting: String,
}

impl CopyIn {
    fn begin(server: &Postgres, database: &str, columns: &str) -> Self {
        let mut command: Command = server.client("psql");
        let psql = command
            .args([
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                database,
                "-c",
            ])
            .arg(format!("COPY {columns} FROM stdin"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            psql,
            waiting: String::new(),
        }
    }

    fn rows(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.waiting);
        if self.waiting.len() > 1 << 20 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let input = self.psql.stdin.as_mut().unwrap();
        input.write_all(self.waiting.as_bytes()).unwrap();
        self.waiting.clear();
    }

    fn end(mut self) {
        self.flush();
        drop(self.psql.stdin.take());
        assert!(self.psql.wait().unwrap().success());
    }
}
