//! How a backup of a PostgreSQL platform stands its ground: writers at work, refusals of the server, encrypted ways.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::command::{run, text, tool};
use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::{Postgres, Setup};
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SMALL: Size = Size {
    users: 3,
    events: 20,
    attachments: 2,
    attachment_bytes: 1000,
    seed: 7,
};

/// A made-up platform, and a place for archives.
struct Case {
    folder: TempDir,
    server: Postgres,
    database: String,
}

impl Case {
    /// `None` where the server's programs are absent.
    fn new(setup: &Setup<'_>, size: &Size) -> Option<Self> {
        let server = Postgres::start_with(setup)?;
        let folder = TempDir::new().unwrap();
        let database = fill::platform(&server, &folder.path().join("users"), size);
        Some(Self {
            folder,
            server,
            database,
        })
    }

    /// The command, without encryption or compression, and further settings.
    fn command(&self, name: &str, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(tool());
        command
            .current_dir(self.folder.path())
            .env(
                "storages__engines__postgresql__port",
                self.server.port.to_string(),
            )
            .env("storages__engines__postgresql__database", &self.database)
            .env("storages__engines__postgresql__user", "postgres")
            .env("storages__engines__sqlite__path", "users")
            .env("storages__platform__engine", "postgresql")
            .envs(settings.iter().copied())
            .args(["--no-compress", "--output", name])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn backup(&self, name: &str, settings: &[(&str, &str)]) -> Output {
        run(&mut self.command(name, settings))
    }

    /// The one line of a backup that fails, and leaves nothing behind.
    fn failure(&self, settings: &[(&str, &str)]) -> String {
        let made = self.backup("failed", settings);
        let said = text(&made);
        assert_eq!(made.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let left = fs::read_dir(self.folder.path().join("failed"));
        assert_eq!(left.map_or(0, Iterator::count), 0);
        said
    }
}

/// Two rows of one transaction, in two tables, always with the same number: whatever the instant, they agree.
#[test]
fn everything_is_of_one_instant() {
    let size = Size {
        users: 200,
        events: 300,
        ..SMALL
    };
    let Some(case) = Case::new(&Setup::default(), &size) else {
        return;
    };
    let database = &case.database;
    case.server.sql(
        database,
        "INSERT INTO profile SELECT user_id, 'count', '0' FROM users_index; \
         INSERT INTO streams (user_id, id, name, path) SELECT user_id, 'count', '0', 'count/' FROM users_index; \
         INSERT INTO events (user_id, id, content) SELECT user_id, 'count', '0' FROM users_index",
    );
    let done = AtomicBool::new(false);
    let counted = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                count += 1;
                case.server.sql(
                    database,
                    &format!(
                        "BEGIN; UPDATE profile SET data = '{count}' WHERE id = 'count'; \
                         UPDATE streams SET name = '{count}' WHERE id = 'count'; \
                         UPDATE events SET content = '{count}' WHERE id = 'count'; COMMIT"
                    ),
                );
            }
            count
        });
        std::thread::sleep(Duration::from_millis(300));
        let made = case.backup("archive", &[]);
        done.store(true, Ordering::Relaxed);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        writer.join().unwrap()
    });
    assert!(counted > 3, "the writer was too slow to matter: {counted}");
    let archive = Plain::read(&case.folder.path().join("archive"));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for user in archive.json("manifest.json")["users"].as_array().unwrap() {
        let user = user["userId"].as_str().unwrap();
        for (kind, member) in [
            ("profile", "data"),
            ("streams", "name"),
            ("events", "content"),
        ] {
            let records = archive.records(&format!("users/{user}/{kind}"));
            let record = records.iter().find(|r| r["id"] == "count").unwrap();
            let number = record[member].to_string().trim_matches('"').to_owned();
            *seen.entry(number).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen.into_values().next(), Some(600));
}

/// One user with most of the rows is read otherwise than the others; nothing is lost or doubled on the way.
#[test]
fn large_users_are_whole() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO events (user_id, id, stream_ids, time, content, integrity) \
         SELECT (SELECT min(user_id) FROM users_index), 'many' || n, '[\"diary\"]', n, to_jsonb(n), repeat('x', 200) \
         FROM generate_series(1, 100000) n; ANALYZE events",
    );
    let made = case.backup("archive", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let archive = Plain::read(&case.folder.path().join("archive"));
    let mut total = 0;
    for user in archive.json("manifest.json")["users"].as_array().unwrap() {
        let id = user["userId"].as_str().unwrap();
        let events = archive.records(&format!("users/{id}/events"));
        assert_eq!(user["stats"]["events"], events.len());
        assert_eq!(archive.attachments(id).len(), 2);
        let ids: std::collections::BTreeSet<_> =
            events.iter().map(|e| e["id"].to_string()).collect();
        assert_eq!(ids.len(), events.len(), "doubled");
        total += events.len();
    }
    assert_eq!(total, 100_000 + 3 * 20);
}

#[test]
fn refusals_name_the_cause_and_never_the_password() {
    let access = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let setup = Setup {
        access,
        ..Setup::default()
    };
    let Some(case) = Case::new(&setup, &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "CREATE ROLE reader LOGIN PASSWORD 's3cret-right'; GRANT pg_read_all_data TO reader",
    );
    let user = ("storages__engines__postgresql__user", "reader");
    let password = |text| ("storages__engines__postgresql__password", text);
    let made = case.backup("right", &[user, password("s3cret-right")]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let made = case.backup("variable", &[user, ("PGPASSWORD", "s3cret-right")]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));

    let none = [user];
    let wrong = [user, password("s3cret-wrong")];
    let database = [
        user,
        password("s3cret-right"),
        ("storages__engines__postgresql__database", "nowhere"),
    ];
    let closed = [
        user,
        password("s3cret-right"),
        ("storages__engines__postgresql__port", "1"),
    ];
    let object = [user, password("{\"s3cret-object\": 1}")];
    for (settings, cause) in [
        (&none[..], "password missing"),
        (&wrong, "correct the user and password"),
        (&database, "correct the name of the database"),
        (&closed, "refused"),
        (&object, "password"),
    ] {
        let said = case.failure(settings);
        assert!(said.contains(cause), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    case.server.sql(
        &case.database,
        "REVOKE pg_read_all_data FROM reader; GRANT SELECT ON users_index TO reader",
    );
    let said = case.failure(&[user, password("s3cret-right")]);
    assert!(
        said.contains("permission denied") && said.contains("grant"),
        "{said}"
    );
}

#[test]
fn another_database_is_not_taken_for_an_empty_platform() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let said = case.failure(&[("storages__engines__postgresql__database", "postgres")]);
    assert!(
        said.contains("no table") && said.contains("users_index"),
        "{said}"
    );
    case.server.sql(&case.database, "DROP TABLE webhooks");
    assert!(case.failure(&[]).contains("there is no table webhooks"));
}

/// Roles with limits of their own are no reason for half a backup.
#[test]
fn limits_of_the_role_do_not_cut_a_backup_off() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "CREATE ROLE hurried LOGIN; GRANT pg_read_all_data TO hurried; ALTER ROLE hurried SET statement_timeout = 1; \
         ALTER ROLE hurried SET idle_in_transaction_session_timeout = 1",
    );
    let made = case.backup(
        "archive",
        &[("storages__engines__postgresql__user", "hurried")],
    );
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
}

#[test]
fn a_connection_that_is_lost_is_a_failure() {
    let size = Size {
        users: 20,
        events: 10_000,
        ..SMALL
    };
    let Some(case) = Case::new(&Setup::default(), &size) else {
        return;
    };
    let child = case.command("failed", &[]).spawn().unwrap();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE application_name = 'pryv-backup' AND query LIKE 'COPY%FROM events%' AND state = 'active'";
    let mut killed = 0;
    while killed == 0 {
        killed = case
            .server
            .sql(&case.database, kill)
            .parse::<u32>()
            .unwrap();
    }
    let ended = child.wait_with_output().unwrap();
    let said = text(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("PostgreSQL at") && said.contains("57P01"),
        "{said}"
    );
    assert!(!case.folder.path().join("failed/manifest.json").exists());
}

#[test]
fn encrypted_connections_are_checked_as_asked() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let openssl = |args: &str| {
        let done = Command::new("openssl")
            .args(args.split(' '))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", text(&done));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=ca");
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=db.example");
    fs::write(at("san"), "subjectAltName=DNS:db.example\n").unwrap();
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 30 -extfile san",
    );
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.crt -days 30 -subj /CN=other",
    );
    let access = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
    let setup = Setup {
        access,
        ..Setup::default()
    };
    let Some(case) = Case::new(&setup, &SMALL) else {
        return;
    };
    case.server.enable_tls(&at("server.crt"), &at("server.key"));
    let mode = |text| ("PGSSLMODE", text);
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    let (ca, other) = (path("ca.crt"), path("other.crt"));
    for (i, settings) in [
        &[][..],
        &[mode("require")],
        &[mode("verify-ca"), ("PGSSLROOTCERT", &ca)],
        &[
            ("storages__engines__postgresql__sslmode", "verify-ca"),
            ("storages__engines__postgresql__sslrootcert", &ca),
        ],
    ]
    .iter()
    .enumerate()
    {
        let made = case.backup(&format!("archive{i}"), settings);
        assert_eq!(made.status.code(), Some(0), "{settings:?}: {}", text(&made));
    }
    for settings in [
        &[mode("disable")][..],
        &[mode("require"), ("PGSSLROOTCERT", &other)],
        &[mode("verify-ca"), ("PGSSLROOTCERT", &other)],
        &[mode("verify-ca")],
        // The certificate is that of db.example.
        &[mode("verify-full"), ("PGSSLROOTCERT", &ca)],
        &[mode("sometimes")],
        &[mode("verify-full"), ("PGSSLROOTCERT", "/nowhere")],
    ] {
        case.failure(settings);
    }
}

/// While the backup waits for a lock of somebody else: it does not wait on, and nothing of it stays.
#[test]
fn a_signal_ends_the_run_in_order() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let ended = std::thread::scope(|scope| {
            let lock = "BEGIN; LOCK TABLE webhooks; SELECT pg_sleep(60); COMMIT";
            scope.spawn(|| {
                case.server
                    .client("psql")
                    .args(["-c", lock, &case.database])
                    .output()
            });
            std::thread::sleep(Duration::from_millis(500));
            let mut child = case.command("failed", &[]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(1000));
            assert!(child.try_wait().unwrap().is_none(), "it should wait");
            let pid = child.id().to_string();
            Command::new("kill").args([signal, &pid]).status().unwrap();
            let started = Instant::now();
            let ended = child.wait_with_output().unwrap();
            assert!(started.elapsed() < Duration::from_secs(10), "it waits on");
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";
            case.server.sql("postgres", end);
            ended
        });
        let said = text(&ended);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains("interrupted"), "{said}");
        assert!(!case.folder.path().join("failed").exists());
    }
}

#[test]
fn one_user_comes_alone() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let made = run(case.command("archive", &[]).args(["--user", "user000001"]));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let archive = Plain::read(&case.folder.path().join("archive"));
    let manifest = archive.json("manifest.json");
    let users = manifest["users"].as_array().unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["username"], "user000001");
    let stats = &users[0]["stats"];
    assert_eq!(
        (&stats["events"], &stats["streams"]),
        (&20.into(), &8.into())
    );
    assert_eq!(stats["attachments"], 2);
}

/// A series is kept under the current name, a former one that nobody took over, or the id; its times are exact.
#[test]
fn series_are_found_under_every_name() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO account_fields SELECT user_id, 'username', name, time, 'x' FROM users_index, (VALUES \
             ('\"former\"'::jsonb, 1), ('\"user000001\"', 2)) AS f(name, time) WHERE username = 'user000000'; \
         INSERT INTO series_data SELECT namespace, 'event.e', n, n, fields::jsonb FROM (VALUES \
             ('user.user000000', 4393911305278, '{\"value\": 1.50}'), ('user.user000000', -1, '{}'), \
             ('user.former', 1000000, '{\"text\": \"time\"}'), ('user.user000001', 5, '{\"value\": 2}'), \
             ('user.nobody', 6, '{}')) AS s(namespace, n, fields); \
         INSERT INTO series_data SELECT user_id, 'e', 7, 7, '{\"time\": 1}' FROM users_index WHERE username = 'user000002'",
    );
    let made = case.backup("archive", &[]);
    // The last point cannot be told from its time.
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let archive = case.folder.path().join("archive");
    let manifest = Plain::read(&archive).json("manifest.json");
    let lines = |name: &str| {
        let users = manifest["users"].as_array().unwrap();
        let user = users.iter().find(|user| user["username"] == name).unwrap();
        let id = user["userId"].as_str().unwrap();
        fs::read_to_string(archive.join(format!("users/{id}/series/series.jsonl"))).ok()
    };
    assert_eq!(
        lines("user000000").unwrap(),
        "{\"measurement\":\"event.e\",\"namespace\":\"user.former\",\"points\":[{\"time\":1,\"text\": \"time\"}]}\n\
         {\"measurement\":\"event.e\",\"namespace\":\"user.user000000\",\"points\":[{\"time\":-0.000001},{\"time\":4393911.305278,\"value\": 1.50}]}\n"
    );
    assert_eq!(
        lines("user000001").unwrap(),
        "{\"measurement\":\"event.e\",\"namespace\":\"user.user000001\",\"points\":[{\"time\":0.000005,\"value\": 2}]}\n"
    );
    assert_eq!(lines("user000002"), None);
}

/// A file that is missing is a loss, unless its event went away while the backup ran.
#[test]
fn missing_files_are_losses() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO events (user_id, id, time, attachments, deleted) SELECT min(user_id), 'gone', 1, '[{\"id\": \"gone\"}]', 2 \
             FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments, head_id) SELECT min(user_id), 'old', 1, '[{\"id\": \"old\"}]', 'x' \
             FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments) SELECT min(user_id), 'lost', 1, '[{\"id\": \"lost\"}, {\"id\": \"../x\"}]' \
             FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments) SELECT min(user_id), 'odd', 1, '{\"id\": 5}' FROM users_index",
    );
    let made = case.backup("archive", &[]);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    let losses: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("LOST"))
        .collect();
    assert_eq!(losses.len(), 3, "{said}");
    for word in ["attachment lost of event lost", "../x", "odd"] {
        assert!(
            losses.iter().any(|line| line.contains(word)),
            "{word}: {said}"
        );
    }
}
