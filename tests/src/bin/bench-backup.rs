//! How fast a backup of a PostgreSQL platform is, beside `pg_dump -Fc` of the same database, in one run:
//! `bench-backup [SCALE]`, where SCALE 1.0 (the default) is (a) 1 user with 1,000,000 events, (b) 10,000 users with 100
//! events each, (c) 1 GiB of attachments. A second argument, `a`, `b` or `c`, runs that one only.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::folder;
use pryv_backup_tests::postgres::{Postgres, Setup};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often each command runs; the best counts.
const RUNS: usize = 3;

fn main() {
    let mut args = std::env::args().skip(1);
    let scale: f64 = args.next().map_or(1.0, |text| text.parse().unwrap());
    let only = args.next();
    let config = "shared_buffers = 512MB\nmax_connections = 60\n";
    let setup = Setup {
        config,
        ..Setup::default()
    };
    let Some(server) = Postgres::start_with(&setup) else {
        return;
    };
    let sized = |n: f64| (n * scale) as usize;
    let cases = [
        ("a", 1, sized(1e6), 0, 0),
        ("b", sized(1e4), 100, 0, 0),
        ("c", 8, 100, sized(128.0), 1 << 20),
    ];
    for (name, users, events, attachments, attachment_bytes) in cases {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let size = Size {
            users,
            events,
            attachments,
            attachment_bytes,
            seed: 1,
        };
        println!(
            "({name}) {users} users x {events} events, {} MiB of attachments",
            (users * attachments * attachment_bytes) >> 20
        );
        case(&server, &size);
    }
}

fn case(server: &Postgres, size: &Size) {
    let folder = TempDir::new().unwrap();
    let database = fill::platform(server, &folder.path().join("users"), size);
    let records = size.users * size.events.max(size.attachments);
    let key = folder.path().join("key.pem");
    tool(&["keygen", "--output", key.to_str().unwrap()])
        .output()
        .unwrap();

    let copy = best(|| {
        let mut psql = server.client("psql");
        psql.args([
            "--quiet",
            "-c",
            "COPY events TO stdout (FORMAT binary)",
            &database,
        ]);
        measure(psql.stdout(Stdio::null()))
    });
    row("bare COPY of the events", &copy, 0, records);
    let dump = folder.path().join("dump");
    let dumped = best(|| {
        let mut command = server.client("pg_dump");
        measure(command.args(["-Fc", "-f"]).arg(&dump).arg(&database))
    });
    let dump_size = fs::metadata(&dump).unwrap().len();
    row("pg_dump -Fc", &dumped, dump_size, records);

    // A new folder each time: a file system that has just removed many files is slow in making new ones.
    let mut runs = 0;
    let mut backup = |sealed: bool| {
        best(|| {
            runs += 1;
            let archive = folder.path().join(format!("archive{runs}"));
            let mut command = tool(&["--quiet", "--output", archive.to_str().unwrap()]);
            if sealed {
                command
                    .arg("--recipient-pubkey")
                    .arg(key.with_extension("pub.pem"));
            }
            let port = server.port.to_string();
            let users = folder.path().join("users");
            measure(command.current_dir(folder.path()).envs([
                ("storages__engines__postgresql__port", port.as_str()),
                ("storages__engines__postgresql__database", &database),
                ("storages__engines__postgresql__user", "postgres"),
                ("storages__engines__sqlite__path", users.to_str().unwrap()),
                ("storages__platform__engine", "postgresql"),
            ]))
        })
    };
    let ours = backup(true);
    let archive = folder.path().join("archive1");
    let size_of_ours: u64 = folder::tree(&archive)
        .values()
        .map(|b| b.len() as u64)
        .sum();
    row("backup, sealed", &ours, size_of_ours, records);
    println!(
        "  {:.2} times as fast as pg_dump -Fc, {:.2} times its size",
        dumped.time.as_secs_f64() / ours.time.as_secs_f64(),
        size_of_ours as f64 / dump_size as f64
    );
    let mut runs = 0;
    let files = best(|| {
        runs += 1;
        let copied = folder.path().join(format!("copied{runs}"));
        let mut cp = Command::new("sh");
        measure(
            cp.args(["-c", "cp -r \"$0\" \"$1\" && sync -f \"$1\""])
                .arg(&archive)
                .arg(&copied),
        )
    });
    row(
        "cp -r of the archive, and sync",
        &files,
        size_of_ours,
        records,
    );
    println!(
        "  {:.2} times COPY and cp together; {:.2} of the speed of cp",
        ours.time.as_secs_f64() / (copy.time + files.time).as_secs_f64(),
        files.time.as_secs_f64() / ours.time.as_secs_f64()
    );
}

struct Measured {
    time: Duration,
    /// Peak resident memory in KiB, as far as it was seen.
    memory: u64,
}

fn row(name: &str, measured: &Measured, bytes: u64, records: usize) {
    println!(
        "  {name:<32} {:>7.2} s {:>8.0} k records/s {:>6} MB {:>5} MiB resident",
        measured.time.as_secs_f64(),
        records as f64 / measured.time.as_secs_f64() / 1e3,
        bytes / 1_000_000,
        measured.memory / 1024
    );
}

fn best(mut run: impl FnMut() -> Measured) -> Measured {
    let quiet = |_| {
        // What the run before left to be written is not this one's.
        Command::new("sync").status().unwrap();
        run()
    };
    let runs = (0..RUNS).map(quiet).collect::<Vec<_>>();
    let memory = runs.iter().map(|run| run.memory).max().unwrap();
    let time = runs.iter().map(|run| run.time).min().unwrap();
    Measured { time, memory }
}

/// Runs a command; its memory is looked at all the time, because nothing is left to look at afterwards.
fn measure(command: &mut Command) -> Measured {
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.trim_end_matches("kB").trim().parse().ok());
        memory = memory.max(peak.unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "{command:?}: {ended}");
            let time = started.elapsed();
            return Measured { time, memory };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The tool, built beside this program, or the one that `PRYV_BACKUP` names.
fn tool(args: &[&str]) -> Command {
    let beside = std::env::current_exe()
        .unwrap()
        .with_file_name("pryv-backup");
    let tool = std::env::var_os("PRYV_BACKUP").map_or(beside, Into::into);
    assert!(
        Path::new(&tool).exists(),
        "build the tool first: {}",
        tool.display()
    );
    let mut command = Command::new(tool);
    command.args(args);
    command
}
