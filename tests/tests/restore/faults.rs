//! Failures during a run: the disk, the server, a connection, the archive. Every user is old or new and the report says which,
//! and the same again finishes.

use super::draft::Draft;
use super::kills::{age, differences, pace, postgres, sqlite, users};
use super::moments::{MOMENTS, Moment, Pace, Watch};
use pryv_backup_tests::{
    command::{signal, text},
    disk::SmallDisk,
    folder,
    proxy::{Break, Proxy},
    session::Session,
    stage::{Platform, Rows, Stage, of_user},
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// The report, when there is one.
fn report(output: &Output) -> Option<Value> {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let last: Value = serde_json::from_str(printed.lines().last()?).ok()?;
    (last["event"] == "report").then_some(last)
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Old and new, to compare with.
struct States<'a> {
    stage: &'a Stage,
    archive: &'a Path,
    old: Rows,
    new: Rows,
    pace: Pace,
}

impl<'a> States<'a> {
    fn of(stage: &'a Stage, archive: &'a Path, before: &Platform<'_>) -> Self {
        let whole = stage.copy(before);
        let pace = pace(stage, archive, &whole, &["--overwrite"]);
        Self {
            stage,
            archive,
            old: before.rows(),
            new: whole.rows(),
            pace,
        }
    }

    /// The next run settles what was left, every user is then what the report had said, and a rerun finishes.
    fn hold(&self, target: &Platform<'_>, failed: &Output) {
        let next = target.restore(self.archive, &[]);
        assert!(matches!(next.status.code(), Some(0 | 5)), "{}", text(&next));
        let now = target.rows();
        let said = report(failed);
        for [id, name] in users(self.archive, self.stage) {
            let of = |rows: &Rows| of_user(rows, [&id, &name]);
            let (is_old, is_new) = (of(&now) == of(&self.old), of(&now) == of(&self.new));
            assert!(
                is_old || is_new,
                "{name} is mixed: {:#?}",
                differences(&of(&now), &of(&self.new))
            );
            let Some(said) = &said else { continue };
            let users = said["users"].as_array().unwrap();
            let user = users.iter().find(|u| u["userId"] == *id).unwrap();
            match user["outcome"].as_str().unwrap() {
                "restored" => assert!(is_new, "{user}"),
                "failed" => assert!(is_old, "{user}"),
                "unknown" | "unfinished" => {}
                other => panic!("{other}: {user}"),
            }
        }
        let again = target.restore(self.archive, &["--overwrite"]);
        assert_eq!(again.status.code(), Some(0), "{}", text(&again));
        let now = target.rows();
        assert!(now == self.new, "{:#?}", differences(&now, &self.new));
        assert!(target.is_left_clean());
    }
}

/// When something comes between.
fn while_it_works() -> impl Iterator<Item = (Moment, f64)> {
    let parts = [0.0, 0.4, 0.8].into_iter();
    parts.flat_map(|part| MOMENTS[1..].iter().map(move |moment| (*moment, part)))
}

/// Waits until the run has put something aside, as it does once all is verified.
fn begun(target: &Platform<'_>, child: &mut Child) {
    let aside = target.users.join(".pryv-backup-restore");
    let folders = || {
        let entries = fs::read_dir(&aside).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().is_dir()).count()
    };
    while folders() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn the_server_crashes() {
    let Some(stage) = Stage::new() else { return };
    let Some((before, archive)) = postgres(&stage) else {
        return;
    };
    age(&before);
    let states = States::of(&stage, &archive, &before);
    let server = stage.server().unwrap();
    let mut failures = 0;
    for (moment, part) in while_it_works() {
        let target = stage.copy(&before);
        let mut watch = Watch::new(&stage, &target);
        let mut child = spawn(&mut target.restoring(&archive, &["--overwrite"]));
        states.pace.wait(&mut watch, moment, part, &mut child);
        drop(watch);
        server.crash();
        let failed = child.wait_with_output().unwrap();
        server.start_again();
        let code = failed.status.code();
        assert!(matches!(code, Some(0 | 1 | 5)), "{}", text(&failed));
        failures += usize::from(code != Some(0));
        states.hold(&target, &failed);
        target.remove();
    }
    assert!(failures > 0, "no crash came in time");
}

#[test]
fn a_connection_is_ended() {
    let Some(stage) = Stage::new() else { return };
    let Some((before, archive)) = postgres(&stage) else {
        return;
    };
    age(&before);
    let states = States::of(&stage, &archive, &before);
    let mut ended = 0;
    for (moment, part) in while_it_works() {
        let target = stage.copy(&before);
        let mut watch = Watch::new(&stage, &target);
        let mut child = spawn(&mut target.restoring(&archive, &["--overwrite"]));
        states.pace.wait(&mut watch, moment, part, &mut child);
        drop(watch);
        let mut session = Session::of(&stage, &target);
        let end = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
                   WHERE application_name = 'pryv-backup' AND datname = current_database() AND xact_start IS NOT NULL LIMIT 1) one";
        let mut here: usize = 0;
        while here == 0 && child.try_wait().unwrap().is_none() {
            here = session.sql(end).parse().unwrap();
        }
        drop(session);
        ended += here;
        let failed = child.wait_with_output().unwrap();
        let code = failed.status.code();
        assert!(matches!(code, Some(0 | 1 | 5)), "{}", text(&failed));
        // Those on that connection were tried again, or are as before.
        states.hold(&target, &failed);
        target.remove();
    }
    assert!(ended > 0, "no connection was ended in time");
}

/// The answer to `COMMIT` is lost: the server knows, and is asked.
#[test]
fn what_became_of_a_commit_is_found_out() {
    let Some(stage) = Stage::new() else { return };
    let Some((before, archive)) = postgres(&stage) else {
        return;
    };
    age(&before);
    // With files beside the database, and without.
    for engine in ["filesystem", "postgresql"] {
        let before = stage.copy(&before).with("storages__file__engine", engine);
        let states = States::of(&stage, &archive, &before);
        for (what, code, outcome) in [
            (Break::Answer, 0, "restored"),
            (Break::Request, 5, "failed"),
            (Break::AnswerAndAll, 5, "unknown"),
        ] {
            let proxy = Proxy::start(stage.server().unwrap().port, what);
            let target = stage.copy(&before);
            let port = proxy.port.to_string();
            let mut restoring = target.restoring(&archive, &["--overwrite", "--jobs", "1"]);
            restoring.env("storages__engines__postgresql__port", &port);
            let done = restoring.output().unwrap();
            assert!(proxy.broken() > 0);
            assert_eq!(done.status.code(), Some(code), "{}", text(&done));
            let said = report(&done).unwrap();
            let users = said["users"].as_array().unwrap();
            assert_eq!(users[0]["outcome"], outcome, "{said}");
            target.wait_until_alone();
            states.hold(&target, &done);
            target.remove();
        }
    }
}

#[test]
fn the_disk_is_full() {
    let Some(stage) = Stage::new() else { return };
    let (source, archive) = sqlite(&stage);
    full(&stage, &source, &archive);
}

/// That of the attachments, beside a database that has room.
#[test]
fn the_disk_beside_a_database_is_full() {
    let Some(stage) = Stage::new() else { return };
    let Some((source, archive)) = postgres(&stage) else {
        return;
    };
    full(&stage, &source, &archive);
}

fn full(stage: &Stage, source: &Platform<'_>, archive: &Path) {
    age(source);
    // The room that it needs, old and new data side by side.
    let size: u64 = folder::tree(&source.users)
        .values()
        .map(|bytes| bytes.len() as u64)
        .sum();
    let states = States::of(stage, archive, source);
    let mut failures = 0;
    for part in [1, 2, 3, 4, 6, 8] {
        let target = stage.copy(source);
        // As large as it was, and a part of what a restore adds.
        let kept = stage.at("kept");
        fs::rename(&target.users, &kept).unwrap();
        let room = (size * 3 + 200_000_000) / 1024;
        let Some(disk) = SmallDisk::mount(target.users.clone(), &format!("size={room}k")) else {
            return;
        };
        folder::copy(&kept, &target.users);
        let mut child = spawn(&mut target.restoring(archive, &["--overwrite", "--jobs", "1"]));
        begun(&target, &mut child);
        // Somebody else takes the room, while it holds still.
        let filler = target.users.join("filler");
        signal(&child, "-STOP");
        fill_but(&filler, size * part / 20);
        signal(&child, "-CONT");
        let failed = child.wait_with_output().unwrap();
        let code = failed.status.code();
        assert!(matches!(code, Some(0 | 5)), "{}", text(&failed));
        if code == Some(5) {
            assert!(text(&failed).contains("disk"), "{}", text(&failed));
            failures += 1;
        }
        fs::remove_file(filler).unwrap();
        states.hold(&target, &failed);
        drop(disk);
        fs::remove_dir_all(&target.users).unwrap();
        fs::remove_dir_all(kept).unwrap();
        target.remove();
    }
    assert!(failures > 0, "the disk was never full in time");
}

/// Leaves only so many bytes on the disk of a new file.
fn fill_but(path: &Path, left: u64) {
    let disk = rustix::fs::statvfs(path.parent().unwrap()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    let file = fs::File::create(path).unwrap();
    let length = free.saturating_sub(left);
    let _ = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length.max(1));
}

/// Too little is left from the beginning: that is said before anything is written.
#[test]
fn a_disk_that_is_too_small_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let (_, archive) = sqlite(&stage);
    let target = stage.sqlite();
    let Some(_disk) = SmallDisk::mount(target.users.clone(), "size=64k") else {
        return;
    };
    let refused = target.restore(&archive, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("make room"), "{}", text(&refused));
    assert_eq!(fs::read_dir(&target.users).unwrap().count(), 0);
}

/// Records that are not compressed are no larger on the platform, and those that go into a database take no room beside it.
#[test]
fn a_disk_that_is_large_enough_is_not_refused() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let sizes = |of_attachments: bool| -> u64 {
        let files = folder::tree(&draft.root).into_iter();
        let files = files.filter(|(path, _)| path.contains("/attachments/") == of_attachments);
        files.map(|(_, bytes)| bytes.len() as u64).sum()
    };
    let (attachments, records) = (sizes(true), sizes(false));
    let restore = |target: &Platform<'_>, room: u64| {
        let size = format!("size={}k", room / 1024);
        let disk = SmallDisk::mount(target.users.clone(), &size)?;
        let done = target.restore(&draft.root, &[]);
        drop(disk);
        fs::remove_dir(&target.users).unwrap();
        Some(done)
    };
    let stand = |done: &Output| {
        let said = report(done).unwrap();
        let users = said["users"].as_array().unwrap().clone();
        assert!(users.iter().all(|u| u["outcome"] == "restored"), "{said}");
        said["warnings"].to_string()
    };
    // Files of SQLite have pages that are not full, and indexes.
    let target = stage.sqlite();
    let Some(done) = restore(&target, attachments + records * 6) else {
        return;
    };
    assert!(!stand(&done).contains("make room"));
    // There may be enough, or not: it is tried, and said.
    let done = restore(&stage.sqlite(), attachments + records / 2).unwrap();
    let said = report(&done).unwrap();
    assert!(said["warnings"].to_string().contains("make room"), "{said}");
    assert_eq!(done.status.code(), Some(5), "{said}");
    let done = restore(&stage.sqlite(), attachments * 9 / 10).unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("at least"), "{}", text(&done));
    let Some(target) = stage.postgres() else {
        return;
    };
    let done = restore(&target, attachments + 400_000).unwrap();
    assert!(!stand(&done).contains("make room"));
    let done = restore(&stage.postgres().unwrap(), attachments * 9 / 10).unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("at least"), "{}", text(&done));
}

/// A user who exists already, and is left alone, needs no room.
#[test]
fn those_who_are_left_alone_need_no_room() {
    let Some(stage) = Stage::new() else { return };
    let (source, archive) = sqlite(&stage);
    let target = stage.copy(&source);
    let kept = stage.at("kept");
    fs::rename(&target.users, &kept).unwrap();
    let size: u64 = folder::tree(&kept).values().map(|b| b.len() as u64).sum();
    let room = format!("size={}k", size / 1024 + 1024);
    let Some(disk) = SmallDisk::mount(target.users.clone(), &room) else {
        return;
    };
    folder::copy(&kept, &target.users);
    fill_but(&target.users.join("filler"), 200_000);
    let again = target.restore(&archive, &[]);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again));
    assert!(!text(&again).contains("make room"), "{}", text(&again));
    drop(disk);
    fs::remove_dir_all(&target.users).unwrap();
}

/// A file of the archive goes, or cannot be read any more, after all was verified.
#[test]
fn the_archive_is_damaged_on_the_way() {
    let Some(stage) = Stage::new() else { return };
    let (source, archive) = sqlite(&stage);
    age(&source);
    let states = States::of(&stage, &archive, &source);
    let last = users(&archive, &stage).pop().unwrap();
    let mut in_time = 0;
    for file in [
        "account.jsonl.gz",
        "events/events-0001.jsonl.gz",
        "series/series.jsonl.gz",
    ] {
        let victim = archive.join("users").join(&last[0]).join(file);
        let target = stage.copy(&source);
        let restoring = &["--overwrite", "--jobs", "1"];
        let mut child = spawn(&mut target.restoring(&archive, restoring));
        begun(&target, &mut child);
        let aside = stage.at("aside");
        fs::rename(&victim, &aside).unwrap();
        let failed = child.wait_with_output().unwrap();
        fs::rename(&aside, &victim).unwrap();
        let code = failed.status.code();
        assert!(matches!(code, Some(0 | 5)), "{}", text(&failed));
        if code == Some(5) {
            assert!(text(&failed).contains(file), "{}", text(&failed));
            in_time += 1;
        }
        states.hold(&target, &failed);
        target.remove();
    }
    assert!(in_time > 0, "it was never removed in time");
}

/// Nothing is begun when a file cannot be read.
#[test]
fn an_archive_that_cannot_be_read_is_not_begun() {
    let Some(stage) = Stage::new() else { return };
    let (_, archive) = sqlite(&stage);
    let target = stage.sqlite();
    let user = users(&archive, &stage).pop().unwrap();
    let victim = archive
        .join("users")
        .join(&user[0])
        .join("streams.jsonl.gz");
    for gone in [true, false] {
        let aside = stage.at("aside");
        fs::rename(&victim, &aside).unwrap();
        if !gone {
            fs::create_dir(&victim).unwrap();
        }
        let refused = target.restore(&archive, &[]);
        assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
        assert!(
            text(&refused).contains("streams.jsonl.gz"),
            "{}",
            text(&refused)
        );
        assert!(!target.users.exists());
        if !gone {
            fs::remove_dir(&victim).unwrap();
        }
        fs::rename(&aside, &victim).unwrap();
    }
}
