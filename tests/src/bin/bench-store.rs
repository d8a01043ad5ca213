//! How fast a backup into an object store is, beside `rclone copy` of the same volumes, and how little of an archive is read for one user:
//! `bench-store [SCALE]`, where SCALE 1.0 (the default) is (b) 1 GiB of attachments, (c) 10,000 users with 100 events each. A second argument,
//! `b` or `c`, runs that one only. The store is SeaweedFS on this machine.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::measure::{Measured, measure, tool, tool_on};
use pryv_backup_tests::object_store::{Bucket, Fault, ObjectStore, StoreProxy, rclone, reach};
use pryv_backup_tests::postgres::Postgres;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How often each command runs; the best counts.
const RUNS: usize = 3;

fn main() {
    let mut args = std::env::args().skip(1);
    let scale: f64 = args.next().map_or(1.0, |text| text.parse().unwrap());
    let only = args.next();
    let Some(server) = Postgres::start() else {
        return;
    };
    let sized = |n: f64| (n * scale) as usize;
    if only.as_ref().is_none_or(|only| only == "b") {
        let size = Size {
            users: 8,
            events: 100,
            attachments: sized(128.0),
            attachment_bytes: 1 << 20,
            seed: 1,
        };
        println!("(b) {} MiB of attachments", 8 * size.attachments);
        beside_rclone(&Case::new(&server, &size));
    }
    if only.as_ref().is_none_or(|only| only == "c") {
        let size = Size {
            users: sized(1e4),
            events: 100,
            seed: 1,
            ..Size::default()
        };
        println!("(c) {} users x {} events", size.users, size.events);
        one_user(&Case::new(&server, &size));
    }
}

/// A filled platform, and a key.
struct Case<'a> {
    server: &'a Postgres,
    folder: TempDir,
    database: String,
}

impl<'a> Case<'a> {
    fn new(server: &'a Postgres, size: &Size) -> Self {
        let folder = TempDir::new().unwrap();
        let users = folder.path().join("users");
        fs::create_dir(&users).unwrap();
        let database = fill::platform(server, &users, size);
        let case = Case {
            server,
            folder,
            database,
        };
        let mut keygen = tool(&["keygen", "--output"]);
        run(keygen.arg(case.at("key.pem")));
        case
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A backup to a place.
    fn backup(&self, place: &str) -> Command {
        let mut command = tool_on(self.server, &self.database, &self.at("users"));
        command
            .env("audit__active", "false")
            .current_dir(self.folder.path())
            .args(["--recipient-pubkey", "key.pub.pem", "--layout", "volumes"])
            .args(["--output", place])
            .stdout(Stdio::null());
        command
    }
}

/// A new store with one bucket: what is deleted in one stays on its disk for a while.
fn store() -> (ObjectStore, Bucket) {
    let store = ObjectStore::start().unwrap();
    let bucket = store.plain();
    (store, bucket)
}

fn beside_rclone(case: &Case<'_>) {
    run(&mut case.backup("local"));
    let bytes: u64 = fs::read_dir(case.at("local"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let (mut ours, mut theirs) = (None, None);
    let better = |best: Option<Measured>, now: Measured| {
        Some(best.map_or(now, |best: Measured| best.better(now)))
    };
    for _ in 0..RUNS {
        let (store, bucket) = store();
        let mut copy = rclone(store.port());
        copy.args(["copy", "local"])
            .arg(bucket.at("rclone").replace("s3://", "bench:"))
            .current_dir(case.folder.path());
        run(&mut Command::new("sync"));
        theirs = better(theirs, measure(&mut copy));
        let mut backup = case.backup(&bucket.at("ours"));
        run(&mut Command::new("sync"));
        ours = better(ours, measure(reach(&mut backup, store.port())));
    }
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    for (name, measured) in [("rclone copy of the volumes", theirs), ("backup", ours)] {
        println!(
            "  {name:<28} {:>7.2} s {:>6.0} MB/s {:>5} MiB resident",
            measured.time.as_secs_f64(),
            bytes as f64 / measured.time.as_secs_f64() / 1e6,
            measured.memory / 1024
        );
    }
    let (store, bucket) = store();
    let proxy = StoreProxy::start(store.port(), |_, _| Fault::None);
    let mut counted = case.backup(&bucket.at("counted"));
    run(reach(&mut counted, proxy.port));
    println!(
        "  {:.2} of the speed of rclone; {} requests",
        ours.faster_than(&theirs),
        proxy.requests()
    );
}

fn one_user(case: &Case<'_>) {
    let (store, bucket) = store();
    let place = bucket.at("users");
    run(reach(&mut case.backup(&place), store.port()));
    let stored = bucket.list("users/");
    let bytes: u64 = stored.iter().map(|object| object.size).sum();
    let proxy = StoreProxy::start(store.port(), |_, _| Fault::None);
    let user = case.server.sql(
        &case.database,
        "SELECT username FROM users_index ORDER BY username OFFSET (SELECT count(*) / 2 FROM users_index) LIMIT 1",
    );
    let mut extract = tool(&["extract", &place, "--collection", "streams", "--user"]);
    extract
        .arg(user.trim())
        .arg("--private-key")
        .arg(case.at("key.pem"))
        .stdout(Stdio::null());
    let measured = measure(reach(&mut extract, proxy.port));
    println!(
        "  streams of one user: {:.2} s, {} requests, {:.2} MB of {:.1} MB: {:.2} %",
        measured.time.as_secs_f64(),
        proxy.requests(),
        proxy.bytes() as f64 / 1e6,
        bytes as f64 / 1e6,
        100.0 * proxy.bytes() as f64 / bytes as f64
    );
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
