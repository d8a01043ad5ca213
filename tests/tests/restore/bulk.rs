//! Much into a PostgreSQL platform that holds little: its indexes are dropped and built again in the transaction of the rows.
//! They stand afterwards as they did before, whatever comes between.

use pryv_backup_tests::{
    command::{report, run, text, tool},
    fill::{self, Size, random::Random},
    postgres::Postgres,
    rounds,
    session::Session,
};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The statements of a run, one after the other.
const PHASES: [&str; 5] = ["", "BEGIN", "COPY events", "CREATE INDEX", "COMMIT"];
const USERS: usize = 60;
const EVENTS: usize = 500;

/// A made-up platform, and its archive.
struct Source {
    server: Postgres,
    dir: TempDir,
    database: String,
}

impl Source {
    /// `before` is done to the platform before its backup is made.
    fn new(before: &str) -> Option<Self> {
        let server = Postgres::start()?;
        let dir = TempDir::new().unwrap();
        let size = Size {
            users: USERS,
            events: EVENTS,
            seed: 11,
            ..Size::default()
        };
        let users = dir.path().join("users");
        std::fs::create_dir(&users).unwrap();
        let database = fill::platform(&server, &users, &size);
        let new = Self {
            server,
            dir,
            database,
        };
        // Each event is in one stream, at the root.
        new.server.sql(
            &new.database,
            &format!(
                "INSERT INTO event_streams SELECT user_id, id, stream_ids->>0, (stream_ids->>0) || '/' FROM events; {before}"
            ),
        );
        let made = run(new
            .command(&new.database, &users)
            .arg("--quiet")
            .arg("--output")
            .arg(new.dir.path().join("archive")));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        Some(new)
    }

    /// A platform without anybody.
    fn empty(&self) -> String {
        let schema = self
            .server
            .client("pg_dump")
            .args(["--schema-only", &self.database])
            .output()
            .unwrap();
        let database = self.server.database();
        self.server.feed(&database, &schema.stdout);
        database
    }

    fn command(&self, database: &str, users: &Path) -> Command {
        let mut command = Command::new(tool());
        command
            .current_dir(self.dir.path())
            .env(
                "storages__engines__postgresql__port",
                self.server.port.to_string(),
            )
            .env("storages__engines__postgresql__database", database)
            .env("storages__engines__postgresql__user", "postgres")
            .env("storages__engines__sqlite__path", users)
            .env("storages__platform__engine", "postgresql")
            .env("storages__audit__engine", "postgresql")
            .env("platform__piiMode", "cleartext")
            .stdin(Stdio::null());
        command
    }

    fn restoring(&self, database: &str, flags: &[&str]) -> Command {
        let mut command = self.command(database, &self.dir.path().join(database));
        command
            .args(["--json", "--create-users-dir", "--restore"])
            .arg(self.dir.path().join("archive"))
            .args(flags);
        command
    }

    /// A digest of the rows of the tables that matter, whatever their order.
    fn rows(&self, database: &str) -> Vec<String> {
        let tables = [
            "events",
            "event_streams",
            "streams",
            "accesses",
            "users_index",
        ];
        let digest = |table: &&str| {
            let sql = format!(
                "SELECT count(*) || md5(string_agg(t::text, '' ORDER BY t::text COLLATE \"C\")) FROM {table} t"
            );
            self.server.sql(database, &sql)
        };
        tables.iter().map(digest).collect()
    }

    /// All indexes and constraints as the server describes them.
    fn indexes(&self, database: &str) -> String {
        self.server.sql(
            database,
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL \
             SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        )
    }

    /// Which ones they are: others when they were made anew.
    fn index_numbers(&self, database: &str) -> String {
        self.server.sql(
            database,
            "SELECT indexrelid FROM pg_index WHERE indrelid = 'events'::regclass ORDER BY 1",
        )
    }

    /// Waits until the server is at work on such a statement of a run, or the run has ended.
    fn wait_for(&self, database: &str, statement: &str, run: &mut Child) {
        let question = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pryv-backup' AND datname = '{database}' \
             AND query LIKE '{statement}%'"
        );
        // From elsewhere: whoever is connected there keeps a run from dropping indexes.
        let mut session = Session::new(&self.server, "postgres");
        while session.sql(&question) == "0" && run.try_wait().unwrap().is_none() {}
    }

    fn settled(&self, database: &str) {
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pryv-backup'";
        while self.server.sql(database, busy) != "0" {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn into_an_empty_platform_and_beside_others() {
    let Some(source) = Source::new("") else {
        return;
    };
    let target = source.empty();
    let (before, numbers) = (source.indexes(&target), source.index_numbers(&target));
    let done = run(&mut source.restoring(&target, &["--verify-integrity"]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(source.rows(&target), source.rows(&source.database));
    assert_eq!(source.indexes(&target), before);
    assert_ne!(
        source.index_numbers(&target),
        numbers,
        "not the way that is tried here"
    );

    // Over what is there, while nobody else is connected.
    let numbers = source.index_numbers(&target);
    let done = run(&mut source.restoring(&target, &["--overwrite"]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(source.rows(&target), source.rows(&source.database));
    assert_eq!(source.indexes(&target), before);
    assert_ne!(source.index_numbers(&target), numbers);

    // Somebody is connected who may be a platform at work, and is not kept waiting.
    let numbers = source.index_numbers(&target);
    let mut other = source
        .server
        .client("psql")
        .args(["-d", &target])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql'";
    while source.server.sql(&target, connected) != "2" {
        std::thread::sleep(Duration::from_millis(5));
    }
    let done = run(&mut source.restoring(&target, &["--overwrite"]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(source.rows(&target), source.rows(&source.database));
    assert_eq!(source.index_numbers(&target), numbers);
    drop(other.stdin.take());
    other.wait().unwrap();
}

/// Properties of an index outside its definition would be lost with it; so such an index stays.
#[test]
fn what_is_said_of_an_index_stays() {
    let Some(source) = Source::new("") else {
        return;
    };
    let target = source.empty();
    source.server.sql(
        &target,
        "COMMENT ON INDEX idx_event_type IS 'ours'; CREATE INDEX pryv_cq_0123456789ab_jb ON events ((content->'a')); \
         ALTER TABLE events CLUSTER ON idx_event_time",
    );
    let before = source.indexes(&target);
    let numbers = source.index_numbers(&target);
    let done = run(&mut source.restoring(&target, &[]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(source.indexes(&target), before);
    assert_ne!(source.index_numbers(&target), numbers);
    let said = source.server.sql(
        &target,
        "SELECT obj_description('idx_event_type'::regclass), (SELECT indexrelid::regclass FROM pg_index WHERE indisclustered)",
    );
    assert_eq!(said, "ours|idx_event_time");
}

/// An event that is there twice is found only when the indexes are built, after all rows.
#[test]
fn a_user_that_fails_costs_that_user_alone() {
    let Some(source) = Source::new(
        "ALTER TABLE events DROP CONSTRAINT events_pkey; INSERT INTO events SELECT e.* FROM events e \
         JOIN users_index u USING (user_id) WHERE u.username = 'user000030' LIMIT 1",
    ) else {
        return;
    };
    let target = source.empty();
    source
        .server
        .sql(&target, "ALTER TABLE events ADD PRIMARY KEY (user_id, id)");
    let before = source.indexes(&target);
    let done = run(&mut source.restoring(&target, &[]));
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    for user in report(&done)["users"].as_array().unwrap() {
        if user["username"] == "user000030" {
            assert_eq!(user["outcome"], "failed", "{user}");
            let reason = user["reason"].as_str().unwrap();
            assert!(reason.contains("there twice"), "{reason}");
        } else {
            assert_eq!(user["outcome"], "restored", "{user}");
        }
    }
    assert_eq!(source.indexes(&target), before);
    let count = source.server.sql(
        &target,
        "SELECT count(*), count(DISTINCT user_id) FROM events",
    );
    assert_eq!(count, format!("{}|{}", (USERS - 1) * EVENTS, USERS - 1));
}

#[test]
fn a_killed_run_leaves_the_indexes_and_nobody_by_half() {
    let Some(source) = Source::new("") else {
        return;
    };
    let target = source.empty();
    let before = source.indexes(&target);
    let started = Instant::now();
    let done = run(&mut source.restoring(&target, &["--skip-platform"]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let took = started.elapsed();
    let whole = source.rows(&target);
    let random = &mut Random::new(5);
    let mut killed = 0;
    for seed in 0..rounds(12, 50) as usize {
        // Into an empty platform, or over what is recognisably other.
        let flags = match seed % 2 {
            0 => {
                source.server.sql(
                    &target,
                    "TRUNCATE accesses, account_fields, event_streams, events, passwords, profile, streams, users_index",
                );
                &["--skip-platform"][..]
            }
            _ => {
                source
                    .server
                    .sql(&target, "UPDATE events SET description = 'old'");
                &["--skip-platform", "--overwrite"]
            }
        };
        let old = source.rows(&target);
        let mut child = source
            .restoring(&target, flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        source.wait_for(&target, PHASES[seed / 2 % PHASES.len()], &mut child);
        // At once, or some time later.
        let part = random.below(200) as f64 / 1000.0;
        std::thread::sleep(took.mul_f64(if seed < 10 { 0.0 } else { part }));
        let _ = child.kill();
        killed += usize::from(!child.wait().unwrap().success());
        source.settled(&target);
        assert_eq!(source.indexes(&target), before, "seed {seed}");
        let now = source.rows(&target);
        assert!(
            now == old || now == whole,
            "seed {seed}: neither old nor new"
        );
    }
    assert!(killed > 0, "no run was killed in time");
    let done = run(&mut source.restoring(&target, &["--skip-platform", "--overwrite"]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(source.rows(&target), whole);
    assert_eq!(source.indexes(&target), before);
}
