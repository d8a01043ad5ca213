//! A client of a PostgreSQL server that stays connected, and is asked again and again.

use crate::postgres::Postgres;
use crate::stage::{Platform, Stage};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// How long what is waited for may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connected client; what it has not committed is undone when it is dropped.
pub struct Session {
    client: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Connects to a database.
    ///
    /// # Panics
    /// When the client cannot be started.
    #[must_use]
    pub fn new(server: &Postgres, database: &str) -> Self {
        let mut client = server
            .client("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Session {
            input: client.stdin.take().unwrap(),
            output: BufReader::new(client.stdout.take().unwrap()),
            client,
        }
    }

    /// Connects to the database of a platform.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn of(stage: &Stage, platform: &Platform<'_>) -> Self {
        let database = platform.database.as_ref().unwrap();
        Self::new(stage.server().unwrap(), database)
    }

    /// Runs statements; returns their rows when they are done, columns separated by `|`. A statement that fails has none.
    ///
    /// # Panics
    /// When the client has ended.
    pub fn sql(&mut self, sql: &str) -> String {
        writeln!(self.input, "{sql};\n\\echo done").unwrap();
        let mut rows = String::new();
        loop {
            let before = rows.len();
            let read = self.output.read_line(&mut rows).unwrap();
            assert!(read > 0, "the client ended after {sql}");
            if rows[before..].trim() == "done" {
                rows.truncate(before);
                return rows.trim().to_owned();
            }
        }
    }

    /// Asks until the answer is `t`, or until the run that is watched has ended.
    ///
    /// # Panics
    /// When it ends, or when that takes too long.
    pub fn wait_until(&mut self, question: &str, run: &mut Child) {
        let deadline = Instant::now() + PATIENCE;
        while self.sql(question) != "t" {
            let ended = run.try_wait().unwrap();
            assert!(ended.is_none(), "it ended before {question}");
            assert!(Instant::now() < deadline, "it never came to {question}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Keeps a table to itself until it is dropped.
    ///
    /// # Panics
    /// When the table cannot be had.
    pub fn lock(&mut self, table: &str) {
        let held = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' AND granted";
        self.sql(&format!("BEGIN; LOCK TABLE {table}"));
        assert_ne!(self.sql(held), "0", "{table} cannot be locked");
    }

    /// Waits until the run waits for a lock.
    ///
    /// # Panics
    /// When it ends without.
    pub fn wait_for_waiting(&mut self, run: &mut Child) {
        self.wait_until("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted", run);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
