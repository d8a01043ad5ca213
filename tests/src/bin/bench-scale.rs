//! How time and memory grow with the number of users: `bench-scale [USERS...]`, by default 10,000, 30,000 and 100,000, with 10 events each, in volumes. Of
//! each size: the backup, then every reader of it; then what 1,000,000 users would come to by the line through the two largest sizes.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::measure::{Measured, measure, tool, tool_on};
use pryv_backup_tests::postgres::Postgres;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What the largest size is extrapolated to.
const MANY: usize = 1_000_000;

/// A command's name, and what it took of each size.
type Row = (&'static str, Vec<Measured>);

fn main() {
    let mut sizes: Vec<usize> = std::env::args()
        .skip(1)
        .map(|users| users.parse().unwrap())
        .collect();
    if sizes.is_empty() {
        sizes = vec![10_000, 30_000, 100_000];
    }
    let mut rows: Vec<Row> = Vec::new();
    for &users in &sizes {
        let Some(server) = Postgres::start() else {
            return;
        };
        println!("{users} users x 10 events");
        for (index, (name, measured)) in of_one_size(&server, users).into_iter().enumerate() {
            show(name, &measured);
            match rows.get_mut(index) {
                Some((_, all)) => all.push(measured),
                None => rows.push((name, vec![measured])),
            }
        }
    }
    if let [.., before, last] = sizes[..] {
        println!("{MANY} users, by the line through {before} and {last}");
        for (name, all) in &rows {
            show(name, &extrapolated([before, last], all));
        }
    }
}

/// Backs up a platform of so many users, and runs each reader on the archive.
fn of_one_size(server: &Postgres, users: usize) -> Vec<(&'static str, Measured)> {
    let folder = TempDir::new().unwrap();
    let attachments = folder.path().join("users");
    fs::create_dir(&attachments).unwrap();
    let size = Size {
        users,
        events: 10,
        seed: 1,
        ..Size::default()
    };
    let database = fill::platform(server, &attachments, &size);
    let here = |mut command: Command| {
        command
            .current_dir(folder.path())
            .env("audit__active", "false");
        measure(command.stdout(Stdio::null()))
    };
    here(tool(&["keygen", "--output", "key.pem"]));
    let mut backup = tool_on(server, &database, &attachments);
    backup.args(["--recipient-pubkey", "key.pub.pem", "--layout", "volumes"]);
    backup.args(["--output", "archive"]);
    let mut measured = vec![("backup", here(backup))];
    let archive = folder.path().join("archive");
    let files: Vec<u64> = fs::read_dir(&archive)
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .collect();
    println!(
        "  {} files, {:.0} MB, of which manifest.json {:.1} MB",
        files.len(),
        files.iter().sum::<u64>() as f64 / 1e6,
        archive.join("manifest.json").metadata().unwrap().len() as f64 / 1e6
    );
    let with_key = ["--private-key", "key.pem"];
    for (name, arguments, key) in [
        ("verify without the key", &["verify", "archive"][..], false),
        ("verify", &["verify", "archive"], true),
        ("list", &["list", "archive"], true),
        (
            "decrypt --verify",
            &["decrypt", "archive", "--verify"],
            true,
        ),
    ] {
        let mut command = tool(arguments);
        if key {
            command.args(with_key);
        }
        measured.push((name, here(command)));
    }
    for (name, option) in [
        ("decrypt-backup.mjs --list", "--list"),
        ("decrypt-backup.mjs --verify", "--verify"),
    ] {
        let mut command = Command::new("node");
        command.args([
            Path::new("archive/decrypt-backup.mjs"),
            Path::new("archive"),
        ]);
        measured.push((
            name,
            here({
                command.arg(option).args(with_key);
                command
            }),
        ));
    }
    measured
}

/// What a command would take for [`MANY`] users, if it goes on as between the last two sizes.
fn extrapolated(users: [usize; 2], measured: &[Measured]) -> Measured {
    let [before, last] = *measured.last_chunk().unwrap();
    let line = |[before, last]: [f64; 2]| {
        let rise = (last - before) / (users[1] - users[0]) as f64;
        (last + rise * (MANY - users[1]) as f64).max(0.0)
    };
    let seconds = |of: fn(&Measured) -> std::time::Duration| {
        std::time::Duration::from_secs_f64(line([of(&before), of(&last)].map(|t| t.as_secs_f64())))
    };
    Measured {
        time: seconds(|measured| measured.time),
        processor: seconds(|measured| measured.processor),
        memory: line([before.memory, last.memory].map(|memory| memory as f64)) as u64,
    }
}

fn show(name: &str, measured: &Measured) {
    println!(
        "  {name:<28} {:>8.2} s {:>8.2} s of a processor {:>6} MiB resident",
        measured.time.as_secs_f64(),
        measured.processor.as_secs_f64(),
        measured.memory / 1024
    );
}
