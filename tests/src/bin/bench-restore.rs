//! How fast a restore into an empty PostgreSQL platform is, beside `pg_restore -j2` of the same data with its indexes:
//! `bench-restore [SCALE]`, where SCALE 1.0 (the default) is (a) 1 user with 1,000,000 events, (b) 10,000 users with 100
//! events each. A second argument, `a` or `b`, runs that one only.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::postgres::{Postgres, Setup};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn main() {
    let mut args = std::env::args().skip(1);
    let scale: f64 = args.next().map_or(1.0, |text| text.parse().unwrap());
    let only = args.next();
    let setup = Setup {
        config: "shared_buffers = 512MB\nmaintenance_work_mem = 256MB\n",
        ..Setup::default()
    };
    let Some(server) = Postgres::start_with(&setup) else {
        return;
    };
    let sized = |n: f64| (n * scale) as usize;
    for (name, users, events) in [("a", 1, sized(1e6)), ("b", sized(1e4), 100)] {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        println!("({name}) {users} users x {events} events");
        let size = Size {
            users,
            events,
            seed: 1,
            ..Size::default()
        };
        case(&server, &size);
    }
}

fn case(server: &Postgres, size: &Size) {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let source = fill::platform(server, &at("users"), size);
    // As a live platform has it.
    server.sql(
        &source,
        "INSERT INTO event_streams SELECT e.user_id, e.id, s.id, coalesce(t.path, s.id || '/') FROM events e \
         CROSS JOIN LATERAL jsonb_array_elements_text(e.stream_ids) s(id) \
         LEFT JOIN streams t ON t.user_id = e.user_id AND t.id = s.id",
    );
    let dump = at("dump");
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    run(server
        .client("pg_dump")
        .args(["-Fc", "-f"])
        .arg(&dump)
        .arg(&source));
    run(tool(server, &source, &at("users"))
        .arg("--quiet")
        .arg("--output")
        .arg(at("archive")));
    let schema = server
        .client("pg_dump")
        .args(["--schema-only", &source])
        .output()
        .unwrap()
        .stdout;

    let theirs = server.database();
    let (time, _) = measure(
        server
            .client("pg_restore")
            .args(["-j2", "--dbname", &theirs])
            .arg(&dump),
    );
    let records = (size.users * size.events) as f64;
    let row = |name: &str, time: Duration, memory: u64| {
        println!(
            "  {name:<28} {:>7.2} s {:>6.0} k events/s {:>5} MiB resident",
            time.as_secs_f64(),
            records / time.as_secs_f64() / 1e3,
            memory / 1024
        );
    };
    row("pg_restore -j2", time, 0);
    let ours = server.database();
    server.feed(&ours, &schema);
    let (mine, memory) = measure(
        tool(server, &ours, &at("restored"))
            .args(["--quiet", "--restore"])
            .arg(at("archive")),
    );
    row("restore, verified before", mine, memory);
    let count = |database: &str| server.sql(database, "SELECT count(*) FROM events");
    assert_eq!(count(&ours), count(&source));
    println!(
        "  {:.2} of the speed of pg_restore",
        time.as_secs_f64() / mine.as_secs_f64()
    );
}

/// Runs a command; its memory (KiB) is looked at all the time, because nothing is left to look at afterwards.
fn measure(command: &mut Command) -> (Duration, u64) {
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
            return (started.elapsed(), memory);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The tool, built beside this program, on a platform.
fn tool(server: &Postgres, database: &str, users: &Path) -> Command {
    let beside = std::env::current_exe()
        .unwrap()
        .with_file_name("pryv-backup");
    assert!(
        beside.exists(),
        "build the tool first: {}",
        beside.display()
    );
    let mut command = Command::new(beside);
    command
        .env(
            "storages__engines__postgresql__port",
            server.port.to_string(),
        )
        .env("storages__engines__postgresql__database", database)
        .env("storages__engines__postgresql__user", "postgres")
        .env("storages__engines__sqlite__path", users)
        .env("storages__platform__engine", "postgresql")
        .stdout(Stdio::null());
    command
}
