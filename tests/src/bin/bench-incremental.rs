//! Cost of an increment beside a full run, and beside `restic` on a `pg_dump` of the same database:
//! `bench-incremental [SCALE]`, where SCALE 1.0 (the default) is 1 user with 1,000,000 events, of which 1 % change between two runs.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::folder;
use pryv_backup_tests::measure::{Measured, measure, tool};
use pryv_backup_tests::postgres::{Postgres, Setup};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How often each is measured; the best counts.
const RUNS: usize = 3;

struct Bench<'a> {
    server: &'a Postgres,
    folder: TempDir,
    database: String,
    events: usize,
}

/// Best time, most memory, least bytes.
#[derive(Default)]
struct Best(Option<(Measured, u64)>);

impl Best {
    fn add(&mut self, measured: Measured, bytes: u64) {
        self.0 = Some(match self.0.take() {
            None => (measured, bytes),
            Some((best, least)) => (best.better(measured), least.min(bytes)),
        });
    }

    fn row(&self, name: &str) {
        if let Some((measured, bytes)) = &self.0 {
            println!(
                "  {name:<34} {:>7.2} s {:>9.2} MB {:>5} MiB resident",
                measured.time.as_secs_f64(),
                *bytes as f64 / 1e6,
                measured.memory / 1024
            );
        }
    }

    fn of(&self, other: &Best) -> (f64, f64) {
        let ((a, x), (b, y)) = (self.0.as_ref().unwrap(), other.0.as_ref().unwrap());
        let time = a.time.as_secs_f64() / b.time.as_secs_f64();
        (time, *x as f64 / *y as f64)
    }
}

fn main() {
    let scale: f64 = std::env::args()
        .nth(1)
        .map_or(1.0, |text| text.parse().unwrap());
    let setup = Setup {
        config: "shared_buffers = 512MB\nmax_connections = 60\n",
        ..Setup::default()
    };
    let Some(server) = Postgres::start_with(&setup) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("users")).unwrap();
    let events = (1e6 * scale) as usize;
    let size = Size {
        users: 1,
        events,
        seed: 1,
        ..Size::default()
    };
    let database = fill::platform(&server, &folder.path().join("users"), &size);
    let bench = Bench {
        server: &server,
        folder,
        database,
        events,
    };
    println!("1 user x {events} events, 1 % changed between runs");
    bench.ours();
    bench.restic();
}

impl Bench<'_> {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bytes(path: &Path) -> u64 {
        let files = folder::tree(path);
        files.values().map(|file| file.len() as u64).sum()
    }

    /// Changes one event in a hundred: most get another content, some are new, some go for good.
    fn change(&self, round: usize) {
        let one = |part: usize| format!("abs(hashtext(id || '{round}')) % 1000 = {part}");
        self.server.sql(
            &self.database,
            &format!(
                "UPDATE events SET content = '\"changed {round}\"', modified = {round} WHERE abs(hashtext(id || '{round}')) % 1000 < 8; \
                 DELETE FROM events WHERE {}; \
                 INSERT INTO events SELECT (jsonb_populate_record(NULL::events, to_jsonb(e) || jsonb_build_object('id', 'n{round}' || id))).* \
                 FROM events e WHERE {}",
                one(8),
                one(9)
            ),
        );
    }

    fn run(&self, chain: &str, more: &[&str]) -> Measured {
        Command::new("sync").status().unwrap();
        let port = self.server.port.to_string();
        let mut command = tool(&[
            "--quiet",
            "--recipient-pubkey",
            "key.pub.pem",
            "--output",
            chain,
        ]);
        command.args(more).current_dir(self.folder.path()).envs([
            ("storages__engines__postgresql__port", port.as_str()),
            ("storages__engines__postgresql__database", &self.database),
            ("storages__engines__postgresql__user", "postgres"),
            (
                "storages__engines__sqlite__path",
                self.at("users").to_str().unwrap(),
            ),
            ("storages__platform__engine", "postgresql"),
            ("audit__active", "false"),
        ]);
        measure(&mut command)
    }

    fn ours(&self) {
        let made = tool(&["keygen", "--output", "key.pem"])
            .current_dir(self.folder.path())
            .output();
        assert!(made.unwrap().status.success());
        let incremental = ["--incremental", "--state-dir", "state"];
        let (mut plain, mut full, mut increment, mut second) = (
            Best::default(),
            Best::default(),
            Best::default(),
            Best::default(),
        );
        for n in 0..RUNS {
            let name = format!("plain{n}");
            let measured = self.run(&name, &[]);
            plain.add(measured, Self::bytes(&self.at(&name)));
            fs::remove_dir_all(self.at(&name)).unwrap();
            let name = format!("first{n}");
            let measured = self.run(&name, &incremental);
            full.add(measured, Self::bytes(&self.at(&name)));
            if n > 0 {
                fs::remove_dir_all(self.at(&name)).unwrap();
            }
        }
        // Right after the full, whose files are read before anything is added to it.
        self.change(0);
        let measured = self.run("first0", &incremental);
        second.add(measured, Self::bytes(&self.at("first0/increments/0002")));
        for n in 1..=RUNS {
            self.change(n);
            let measured = self.run("first0", &incremental);
            let folder = self.at(&format!("first0/increments/{:04}", n + 2));
            increment.add(measured, Self::bytes(&folder));
        }
        let mut nothing = Best::default();
        let measured = self.run("first0", &incremental);
        let folder = self.at(&format!("first0/increments/{:04}", RUNS + 3));
        nothing.add(measured, Self::bytes(&folder));
        plain.row("backup");
        full.row("the same, as the first of a chain");
        second.row("increment, beside that first");
        increment.row("increment");
        nothing.row("increment, nothing changed");
        let (time, size) = increment.of(&plain);
        let (first, _) = second.of(&plain);
        println!(
            "  an increment takes {time:.2} of the time of a backup (bar 0.25; the first {first:.2}) and {size:.4} of its size (bar 0.03); \
             {} events",
            self.events
        );
    }

    /// The usual alternative.
    fn restic(&self) {
        if Command::new("restic").arg("version").output().is_err() {
            println!("restic is not installed: nothing to compare increments with");
            return;
        }
        let restic = || {
            let mut command = Command::new("restic");
            command
                .args(["--quiet", "--repo"])
                .arg(self.at("repository"))
                .env("RESTIC_PASSWORD", "x")
                .env("RESTIC_CACHE_DIR", self.at("cache"));
            command
        };
        let made = restic().arg("init").output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let mut before = Self::bytes(&self.at("repository"));
        for round in 0..3 {
            if round > 0 {
                self.change(100 + round);
            }
            Command::new("sync").status().unwrap();
            let mut dump = self
                .server
                .client("pg_dump")
                .arg(&self.database)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let measured = measure(
                restic()
                    .args(["backup", "--stdin", "--stdin-filename", "dump.sql"])
                    .stdin(dump.stdout.take().unwrap()),
            );
            assert!(dump.wait().unwrap().success());
            let now = Self::bytes(&self.at("repository"));
            let mut best = Best::default();
            best.add(measured, now - before);
            before = now;
            best.row(&format!("pg_dump | restic backup, run {}", round + 1));
        }
    }
}
