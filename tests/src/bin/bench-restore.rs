//! How fast a restore into a PostgreSQL platform is, beside `pg_restore -j2` of the same data with its indexes:
//! `bench-restore [SCALE]`, where SCALE 1.0 (the default) is (a) 1 user with 1,000,000 events, (b) 10,000 users with 100
//! events each; both into an empty platform and into one that holds 1,000,000 events of 5,000 other users. A second argument,
//! `a` or `b`, runs that one only. Ours and theirs take turns; of each, the best of three runs counts.
//!
//! The limits that neither can pass are measured too: filling the tables without indexes (`pg_restore -j2 --section=pre-data
//! --section=data`), and building the indexes after that (`--section=post-data`).
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::measure::{Measured, measure, tool_on};
use pryv_backup_tests::postgres::{Postgres, Setup};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Of each measurement; the best counts.
const RUNS: usize = 3;
/// Of the archives.
const LAYOUTS: [&str; 2] = ["files", "volumes"];

fn main() {
    let mut args = std::env::args().skip(1);
    let scale: f64 = args.next().map_or(1.0, |text| text.parse().unwrap());
    let only = args.next();
    let setup = Setup {
        // As durable as a platform's server is.
        config: "shared_buffers = 512MB\nmaintenance_work_mem = 256MB\n\
            fsync = on\nfull_page_writes = on\nsynchronous_commit = on\n",
        ..Setup::default()
    };
    let Some(server) = Postgres::start_with(&setup) else {
        return;
    };
    let sized = |n: f64| (n * scale) as usize;
    let platform = |users, events, seed| {
        Platform::new(
            &server,
            Size {
                users,
                events,
                seed,
                ..Size::default()
            },
        )
    };
    let others = platform(sized(5e3), 200, 3);
    for (name, users, events) in [("a", 1, sized(1e6)), ("b", sized(1e4), 100)] {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        println!("({name}) {users} users x {events} events");
        case(&server, &platform(users, events, 1), &others);
    }
}

/// A made-up platform: its archive, and its dump.
struct Platform {
    folder: TempDir,
    size: Size,
}

impl Platform {
    fn new(server: &Postgres, size: Size) -> Self {
        let new = Self {
            folder: TempDir::new().unwrap(),
            size,
        };
        let source = fill::platform(server, &new.at("users"), &size);
        // As a live platform has it.
        server.sql(
            &source,
            "INSERT INTO event_streams SELECT e.user_id, e.id, s.id, coalesce(t.path, s.id || '/') FROM events e \
             CROSS JOIN LATERAL jsonb_array_elements_text(e.stream_ids) s(id) \
             LEFT JOIN streams t ON t.user_id = e.user_id AND t.id = s.id",
        );
        // Users of another seed have the same names.
        server.sql(
            &source,
            &format!(
                "UPDATE users_index SET username = username || '-{}'",
                size.seed
            ),
        );
        run(server
            .client("pg_dump")
            .args(["-Fc", "-f"])
            .arg(new.at("dump"))
            .arg(&source));
        for layout in LAYOUTS {
            run(tool(server, &source, &new.at("users"))
                .args(["--layout", layout, "--output"])
                .arg(new.at(layout)));
        }
        server.sql("postgres", &format!("DROP DATABASE {source}"));
        new
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn events(&self) -> usize {
        self.size.users * self.size.events
    }

    /// Restores the dump, or sections of it.
    fn pg_restore(&self, server: &Postgres, database: &str, sections: &[&str]) -> Measured {
        let sections = sections.iter().map(|name| format!("--section={name}"));
        let mut command = server.client("pg_restore");
        command.args(["-j2", "--dbname", database]).args(sections);
        measure(command.arg(self.at("dump")))
    }

    /// Restores the archive of a layout.
    fn restore(&self, server: &Postgres, database: &str, layout: &str) -> Measured {
        let users = TempDir::new().unwrap();
        let mut command = tool(server, database, users.path());
        measure(
            command
                .args(["--create-users-dir", "--restore"])
                .arg(self.at(layout)),
        )
    }
}

fn case(server: &Postgres, platform: &Platform, others: &Platform) {
    let mut best: [Option<Measured>; 6] = [None; 6];
    let mut keep = |at: usize, measured: Measured| {
        let best = &mut best[at];
        *best = Some(best.map_or(measured, |best| best.better(measured)));
    };
    let events = |database: &str| -> usize {
        let count = server.sql(database, "SELECT count(*) FROM events");
        count.parse().unwrap()
    };
    let indexes = |database: &str| {
        server.sql(
            database,
            "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'",
        )
    };
    for _ in 0..RUNS {
        let theirs = server.database();
        server.sql("postgres", "CHECKPOINT");
        keep(0, platform.pg_restore(server, &theirs, &[]));

        for (at, layout) in [(1, LAYOUTS[0]), (5, LAYOUTS[1])] {
            let ours = server.database();
            platform.pg_restore(server, &ours, &["pre-data", "post-data"]);
            server.sql("postgres", "CHECKPOINT");
            keep(at, platform.restore(server, &ours, layout));
            assert_eq!(events(&ours), platform.events());
            assert_eq!(indexes(&ours), indexes(&theirs));
            drop_all(server, &[ours]);
        }
        drop_all(server, &[theirs]);

        let beside = server.database();
        others.pg_restore(server, &beside, &[]);
        server.sql("postgres", "CHECKPOINT");
        keep(2, platform.restore(server, &beside, LAYOUTS[0]));
        assert_eq!(events(&beside), platform.events() + others.events());

        let limit = server.database();
        server.sql("postgres", "CHECKPOINT");
        keep(
            3,
            platform.pg_restore(server, &limit, &["pre-data", "data"]),
        );
        keep(4, platform.pg_restore(server, &limit, &["post-data"]));
        assert_eq!(indexes(&beside), indexes(&limit));
        drop_all(server, &[beside, limit]);
    }
    let best = best.map(Option::unwrap);
    for (name, measured) in [
        ("pg_restore -j2", best[0]),
        ("restore, verified before", best[1]),
        ("the same from volumes", best[5]),
        ("beside other users", best[2]),
        ("limit: tables without indexes", best[3]),
        ("limit: indexes alone", best[4]),
    ] {
        let seconds = measured.time.as_secs_f64();
        println!(
            "  {name:<30} {seconds:>7.2} s {:>6.0} k events/s {:>5} MiB resident, {:.2} of pg_restore",
            platform.events() as f64 / seconds / 1e3,
            measured.memory / 1024,
            measured.faster_than(&best[0])
        );
    }
}

fn drop_all(server: &Postgres, databases: &[String]) {
    for database in databases {
        server.sql(
            "postgres",
            &format!("DROP DATABASE {database} WITH (FORCE)"),
        );
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// The tool on a platform whose audit lies in the database too.
fn tool(server: &Postgres, database: &str, users: &Path) -> Command {
    let mut command = tool_on(server, database, users);
    command
        .env("storages__audit__engine", "postgresql")
        .stdout(Stdio::null());
    command
}
