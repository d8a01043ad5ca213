//! How a backup of a PostgreSQL platform stands its ground: writers at work, refusals of the server, encrypted ways.
#![allow(clippy::unwrap_used, clippy::panic)]

mod contents;
mod faults;
mod files;
mod modes;
mod refusals;
mod tls;

use pryv_backup_tests::command::{run, text, tool};
use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::postgres::{Postgres, Setup};
use std::fs;
use std::process::{Command, Output, Stdio};
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

    /// Gives one user so many events that they are read over several connections.
    fn enlarge(&self) {
        self.server.sql(
            &self.database,
            "INSERT INTO events (user_id, id, stream_ids, time, content, integrity) \
             SELECT (SELECT min(user_id) FROM users_index), 'many' || n, '[\"diary\"]', n, to_jsonb(n), repeat('x', 200) \
             FROM generate_series(1, 100000) n; ANALYZE events",
        );
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
