//! How fast engines beside the usual ones are backed up and put back, beside the tools that do that alone, in one run:
//! `bench-engines [POINTS [EVENTS [MIB]]]`, by default (a) 10,000,000 points of series in InfluxDB, out of it beside `influx_inspect export`, and into
//! it beside `influx -import` of what that wrote; (b) a raw dump of a database with 1,000,000 events, beside `pg_dump -Fc | age -r`; (c) 1024 MiB
//! of attachments out of an S3 bucket (SeaweedFS on this machine), beside `rclone copy` of it. A 0 leaves a case out. Both sides take turns; of
//! each the best of three runs counts. What a tool writes is synchronised with the disk, as the backup is.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::folder;
use pryv_backup_tests::influx::Influx;
use pryv_backup_tests::measure::{Measured, age_recipient, measure, sealed_dump, tool, words_on};
use pryv_backup_tests::object_store::{Bucket, ObjectStore, access_key, rclone};
use pryv_backup_tests::postgres::Postgres;
use std::cell::Cell;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How often each command runs; the best counts.
const RUNS: usize = 3;
/// Points of one measurement, as those of one event.
const OF_EVENT: usize = 100_000;
/// Points that are written at once.
const LINES: usize = 50_000;
/// The only user with series.
const DATABASE: &str = "user.user000000";

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |usual: usize| args.next().map_or(usual, |text| text.parse().unwrap());
    let (points, events, mib) = (number(10_000_000), number(1_000_000), number(1024));
    let Some(server) = Postgres::start() else {
        return;
    };
    if points > 0 {
        println!("(a) {points} points in InfluxDB");
        series(&server, points);
    }
    if events > 0 {
        println!("(b) a database with {events} events");
        raw(&server, events);
    }
    if mib > 0 {
        println!("(c) {mib} MiB of attachments in a bucket");
        attachments(&server, mib);
    }
}

/// A filled platform, a key, and a place for what is made of it.
struct Case<'a> {
    server: &'a Postgres,
    folder: TempDir,
    database: String,
    runs: Cell<usize>,
}

impl<'a> Case<'a> {
    fn new(server: &'a Postgres, size: &Size) -> Self {
        let folder = TempDir::new().unwrap();
        let users = folder.path().join("users");
        fs::create_dir(&users).unwrap();
        let case = Self {
            server,
            database: fill::platform(server, &users, size),
            folder,
            runs: Cell::new(0),
        };
        run(tool(&["keygen", "--output"])
            .arg(case.at("key.pem"))
            .stderr(Stdio::null())
            .stdout(Stdio::null()));
        case
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new name each time.
    fn next(&self, name: &str) -> PathBuf {
        self.runs.set(self.runs.get() + 1);
        self.at(&format!("{name}{}", self.runs.get()))
    }

    /// The tool on this platform.
    fn tool(&self, words: &[&str], database: &str, users: &Path) -> Command {
        let mut command = words_on(words, self.server, database, users);
        command
            .env("audit__active", "false")
            .current_dir(self.folder.path())
            .stdout(Stdio::null());
        command
    }

    /// What backs this platform up into a folder, to the key.
    fn writing(&self, words: &[&str], output: &Path) -> Command {
        let mut command = self.tool(words, &self.database, &self.at("users"));
        command
            .args(["--recipient-pubkey", "key.pub.pem", "--output"])
            .arg(output);
        command
    }
}

/// The best of several runs of each, which take turns.
fn by_turns(ours: impl Fn() -> Measured, theirs: impl Fn() -> Measured) -> [Measured; 2] {
    let mut best: [Option<Measured>; 2] = [None; 2];
    for _ in 0..RUNS {
        for (best, now) in best.iter_mut().zip([theirs(), ours()]) {
            *best = Some(best.map_or(now, |best| best.better(now)));
        }
    }
    let [theirs, ours] = best.map(Option::unwrap);
    [ours, theirs]
}

/// Prints both, and the ratio.
fn tell([ours, theirs]: [Measured; 2], names: [&str; 2], amount: f64, unit: &str, bar: f64) {
    for (name, measured) in names.into_iter().zip([ours, theirs]) {
        println!(
            "  {name:<36} {:>8.2} s {:>9.2} {unit} {:>5} MiB resident",
            measured.time.as_secs_f64(),
            amount / measured.time.as_secs_f64(),
            measured.memory / 1024
        );
    }
    println!(
        "  {:.2} of the speed of {} (wanted: {bar:.1})",
        ours.faster_than(&theirs),
        names[1]
    );
}

fn series(server: &Postgres, points: usize) {
    let (Some(source), Some(target)) = (Influx::start(), Influx::start()) else {
        return;
    };
    fill_series(&source, points);
    let case = Case::new(
        server,
        &Size {
            users: 1,
            events: 10,
            seed: 1,
            ..Size::default()
        },
    );
    let with_series = |mut command: Command, influx: &Influx| {
        command
            .env("storages__series__engine", "influxdb")
            .env("storages__engines__influxdb__port", influx.port.to_string());
        command
    };
    let (archive, exported) = (case.at("archive"), case.at("exported"));
    let out = by_turns(
        || {
            let _ = fs::remove_dir_all(&archive);
            measure(&mut with_series(
                case.writing(&["--quiet"], &archive),
                &source,
            ))
        },
        || {
            let _ = fs::remove_file(&exported);
            let mut export = Command::new(influx_inspect());
            let data = source.folder();
            export
                .args(["export", "-database", DATABASE, "-datadir"])
                .arg(data.join("data"))
                .arg("-waldir")
                .arg(data.join("wal"))
                .arg("-out")
                .arg(&exported)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            synchronised(measure(&mut export), &exported)
        },
    );
    let millions = points as f64 / 1e6;
    let names = ["backup", "influx_inspect export"];
    tell(out, names, millions, "M points/s", 1.0);
    let empty = Size::default();
    let back = by_turns(
        || {
            target.clear();
            let users = case.next("restored");
            let database = fill::platform(server, &users, &empty);
            let mut restore = with_series(case.tool(&["--quiet"], &database, &users), &target);
            restore
                .arg("--restore")
                .arg(&archive)
                .args(["--private-key", "key.pem"]);
            let restored = measure(&mut restore);
            assert_eq!(count(&target), points);
            restored
        },
        || {
            target.clear();
            let mut import = Command::new("influx");
            import
                .args(["-import", "-precision", "ns", "-port"])
                .arg(target.port.to_string())
                .arg("-path")
                .arg(&exported)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let imported = measure(&mut import);
            assert_eq!(count(&target), points);
            imported
        },
    );
    let names = ["restore", "influx -import"];
    tell(back, names, millions, "M points/s", 1.0);
}

/// The program that `scripts/setup-bench.sh` makes, else that of the `PATH`.
fn influx_inspect() -> PathBuf {
    let made = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../.build/tools/influx_inspect"
    );
    let made = PathBuf::from(made);
    if made.exists() {
        made
    } else {
        "influx_inspect".into()
    }
}

/// Writes points of two fields, a tenth of a second apart.
fn fill_series(influx: &Influx, points: usize) {
    let mut lines = String::new();
    for n in 0..points {
        let (event, at) = (n / OF_EVENT, n % OF_EVENT);
        let value = (n as f64 * 0.61).sin() * 100.0;
        writeln!(
            lines,
            "event.c{event:024} value={value:.4},count={}i {}",
            n % 1000,
            at * 100_000_000
        )
        .unwrap();
        if (n + 1) % LINES == 0 || n + 1 == points {
            influx.write(DATABASE, &lines);
            lines.clear();
        }
    }
}

/// The points of the user.
fn count(influx: &Influx) -> usize {
    let rows = influx.query_in(DATABASE, "SELECT count(\"count\") FROM /.*/");
    let rows = rows.iter();
    rows.map(|(_, cells)| usize::try_from(cells[1].as_u64().unwrap()).unwrap())
        .sum()
}

fn raw(server: &Postgres, events: usize) {
    let users = 10;
    let case = Case::new(
        server,
        &Size {
            users,
            events: events.div_ceil(users),
            seed: 1,
            ..Size::default()
        },
    );
    let recipient = age_recipient(&case.at("age"));
    let (dump, sealed) = (case.at("dump"), case.at("dump.age"));
    let measured = by_turns(
        || {
            let _ = fs::remove_dir_all(&dump);
            measure(&mut case.writing(&["raw", "--quiet"], &dump))
        },
        || {
            let _ = fs::remove_file(&sealed);
            let piped = sealed_dump(server, &case.database, &recipient, &sealed);
            synchronised(piped, &sealed)
        },
    );
    let bytes = fs::metadata(&sealed).unwrap().len() as f64 / 1e6;
    let names = ["raw", "pg_dump -Fc | age -r"];
    tell(measured, names, bytes, "MB/s", 1.0);
}

fn attachments(server: &Postgres, mib: usize) {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let users = 8;
    let case = Case::new(
        server,
        &Size {
            users,
            events: 100,
            attachments: mib.div_ceil(users),
            attachment_bytes: 1 << 20,
            seed: 1,
        },
    );
    let bucket = store.plain();
    let bytes = upload(&case.at("users"), &bucket);
    let [id, secret] = access_key();
    let measured = by_turns(
        || {
            let archive = case.next("archive");
            let mut backup = case.writing(&["--quiet"], &archive);
            let engine = "storages__engines__s3";
            backup
                .env("storages__file__engine", "s3")
                .env(format!("{engine}__bucket"), bucket.name())
                .env(
                    format!("{engine}__endpoint"),
                    format!("http://127.0.0.1:{}", store.port()),
                )
                .env(format!("{engine}__accessKeyId"), id)
                .env(format!("{engine}__secretAccessKey"), secret);
            let measured = measure(&mut backup);
            fs::remove_dir_all(archive).unwrap();
            measured
        },
        || {
            let copied = case.next("copied");
            let mut copy = rclone(store.port());
            copy.arg("copy")
                .arg(bucket.at("").replace("s3://", "bench:"))
                .arg(&copied);
            let measured = synchronised(measure(&mut copy), &copied);
            fs::remove_dir_all(copied).unwrap();
            measured
        },
    );
    let names = ["backup", "rclone copy"];
    tell(measured, names, bytes as f64 / 1e6, "MB/s", 0.8);
}

/// Moves the attachments of a platform to a bucket, as Pryv.io keeps them there; how many bytes they have.
fn upload(users: &Path, bucket: &Bucket) -> u64 {
    let mut bytes = 0;
    for path in folder::files(users) {
        let name = path.strip_prefix(users).unwrap().to_str().unwrap();
        let Some((owner, file)) = name.split_once("/attachments/") else {
            continue;
        };
        if path.is_file() {
            let content = fs::read(&path).unwrap();
            let user = owner.rsplit('/').next().unwrap();
            bucket.put(&format!("{user}/{file}"), &content);
            bytes += content.len() as u64;
            fs::remove_file(path).unwrap();
        }
    }
    bytes
}

/// The same, with the time until what was written is on the disk.
fn synchronised(written: Measured, path: &Path) -> Measured {
    let synced = measure(Command::new("sync").arg("-f").arg(path));
    Measured {
        time: written.time + synced.time,
        ..written
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
