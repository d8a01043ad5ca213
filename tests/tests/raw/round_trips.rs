//! What was dumped comes back as it was.

use super::{at, database, dump, dumping, empty_like, files, mark, restoring};
use pryv_backup_tests::{
    command::{alone, report, run, text},
    influx::Influx,
    rqlite::{Scratch, Setup},
    stage::{Platform, Stage},
};
use std::fs;
use std::process::Stdio;

#[test]
fn a_platform_in_postgresql_comes_back_as_it_was() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    mark(&platform.users);
    let (before, dumped) = (files(&platform.users), database(&stage, &platform));
    for (name, flags) in [
        ("custom", &[][..]),
        ("directory", &["--format", "directory", "--jobs", "2"]),
        ("volumes", &["--layout", "volumes", "--volume-size", "64K"]),
    ] {
        let (archive, said) = dump(&stage, &platform, name, flags);
        assert_eq!(said["stores"], serde_json::json!(["postgresql", "users"]));
        assert!(!archive.join(".pryv-backup-partial").exists());
        let target = empty_like(&stage, &platform, &format!("{name}-restored"));
        let looked = run(&mut restoring(&stage, &target, &archive, &["--dry-run"]));
        assert_eq!(looked.status.code(), Some(0), "{}", text(&looked));
        assert!(!target.users.exists());
        let restored = run(&mut restoring(&stage, &target, &archive, &["--jobs", "2"]));
        assert_eq!(restored.status.code(), Some(0), "{}", text(&restored));
        assert!(report(&restored)["files"].as_u64().unwrap() > 0);
        assert!(database(&stage, &target) == dumped, "{name}");
        let after = files(&target.users);
        for (path, was) in &before {
            // The folder itself was made by the fixture.
            assert_eq!(after.get(path), Some(was), "{path}");
        }
        assert_eq!(after.len(), before.len());
        target.remove();
    }
}

/// The same platform, with its series in InfluxDB.
fn with_series(platform: Platform<'_>, port: u16) -> Platform<'_> {
    platform
        .with("storages__series__engine", "influxdb")
        .with("storages__engines__influxdb__port", &port.to_string())
}

#[test]
fn servers_beside_files_come_back_as_they_were() {
    let Some(stage) = Stage::new() else { return };
    let (Some(source), Some(target)) = (Influx::start(), Influx::start()) else {
        return;
    };
    let lines = "event.c1 \"v\"=1i,\"t\"=\"x\" 1000\nevent.c1 \"v\"=2i 2000\n";
    source.write("user.alice", lines);
    let address = |server: &Influx| format!("127.0.0.1:{}", server.backup_port);
    let platform = with_series(stage.sqlite_fixture(), source.port);
    mark(&platform.users);
    let before = files(&platform.users);
    let flags = ["--influxdb-backup", &address(&source)];
    // A server that is busy leaves its newest points out, as the note of a dump says.
    let times = || source.log().matches("Snapshotter busy").count();
    let dumps = ["dump", "again", "and-again"].into_iter();
    let whole = dumps.map(|name| {
        let before = times();
        (dump(&stage, &platform, name, &flags), times() == before)
    });
    let mut whole = whole.filter(|(_, whole)| *whole);
    let ((archive, said), _) = whole.next().unwrap();
    assert!(
        said["notes"].to_string().contains("Snapshotter busy"),
        "{said}"
    );
    let stores = serde_json::json!(["rqlite", "influxdb", "users"]);
    assert_eq!(said["stores"], stores);
    let users = stage.at("restored");
    let empty = with_series(stage.sqlite(), target.port);
    let empty = at(empty, users);
    let flags = ["--influxdb-backup", &address(&target)];
    let restored = run(&mut restoring(&stage, &empty, &archive, &flags));
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored));
    assert_eq!(empty.entries(), platform.entries());
    assert_eq!(target.contents("user.alice"), source.contents("user.alice"));
    assert!(!source.contents("user.alice").is_empty());
    let after = files(&empty.users);
    for (path, was) in &before {
        assert_eq!(after.get(path), Some(was), "{path}");
    }
    assert_eq!(after.len(), before.len());
}

#[test]
fn a_dump_goes_through_a_pipe() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let users = stage.at("restored");
    let target = at(stage.sqlite(), users);
    let mut dumping = dumping(&stage, &platform, "-".as_ref(), &["--quiet"]);
    let mut sending = alone(&mut dumping).stdout(Stdio::piped()).spawn().unwrap();
    let stream = sending.stdout.take().unwrap();
    let mut restoring = restoring(&stage, &target, "-".as_ref(), &[]);
    let restored = run(restoring.stdin(stream));
    assert!(sending.wait().unwrap().success());
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored));
    assert_eq!(target.entries(), platform.entries());
    assert_eq!(
        files(&target.users).keys().collect::<Vec<_>>(),
        files(&platform.users).keys().collect::<Vec<_>>()
    );
}

#[test]
fn what_sqlite_keeps_in_a_log_and_previews_are_in_the_dump() {
    let Some(stage) = Stage::new() else { return };
    let previews = stage.at("previews");
    fs::create_dir_all(previews.join("a")).unwrap();
    fs::write(previews.join("a/small.jpg"), "jpg").unwrap();
    let setting = "storages__engines__filesystem__previewsDirPath";
    let platform = stage
        .sqlite_fixture()
        .with(setting, previews.to_str().unwrap());
    let path = platform.users.join("extra.sqlite");
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer
        .execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES ('in the log')",
        )
        .unwrap();
    // An attachment is what it is, whatever it looks like.
    let attachment = platform.users.join("x/attachments/e/f");
    fs::create_dir_all(attachment.parent().unwrap()).unwrap();
    fs::write(&attachment, b"SQLite format 3\0 but an attachment").unwrap();
    let (archive, said) = dump(&stage, &platform, "dump", &["--previews"]);
    assert_eq!(
        said["stores"],
        serde_json::json!(["rqlite", "users", "previews"])
    );
    let users = stage.at("restored");
    let target = at(stage.sqlite(), users);
    let target = target.with(setting, stage.at("restored-previews").to_str().unwrap());
    let restored = run(&mut restoring(&stage, &target, &archive, &[]));
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored));
    assert!(super::rows(&target.users.join("extra.sqlite")).contains("in the log"));
    assert!(!target.users.join("extra.sqlite-wal").exists());
    let there = fs::read(target.users.join("x/attachments/e/f")).unwrap();
    assert_eq!(there, fs::read(attachment).unwrap());
    assert_eq!(files(&stage.at("restored-previews")).len(), 3);
    drop(writer);
}

#[test]
fn commands_are_run_around_a_dump_and_end_what_they_began() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let frozen = stage.at("frozen");
    let log = stage.at("log");
    let say = |what: &str| format!("echo {what} >> {}", log.display());
    let snapshot = format!(
        "{}; cp -a {} {frozen}; echo; echo {frozen}",
        say("snapshot"),
        platform.users.display(),
        frozen = frozen.display()
    );
    let release = format!("{}; rm -r {}", say("release"), frozen.display());
    let (stop, start) = (say("stop"), say("start"));
    let flags = [
        "--stop-command",
        &stop,
        "--start-command",
        &start,
        "--snapshot-command",
        &snapshot,
        "--release-command",
        &release,
    ];
    let (archive, said) = dump(&stage, &platform, "dump", &flags);
    assert!(said["notes"].to_string().contains("snapshot"), "{said}");
    let logged = || fs::read_to_string(&log).unwrap();
    assert_eq!(logged(), "stop\nsnapshot\nstart\nrelease\n");
    assert!(!frozen.exists() && archive.join("manifest.json").exists());
    // However it ends.
    fs::remove_file(&log).unwrap();
    let wrong = [
        "--stop-command",
        &stop,
        "--start-command",
        &start,
        "--snapshot-command",
        "echo /nowhere",
    ];
    let failed = run(&mut dumping(&stage, &platform, &stage.at("failed"), &wrong));
    super::one_line(&failed, 1);
    assert_eq!(logged(), "stop\nstart\n");
    assert!(!stage.at("failed").exists());
    // A core that cannot be started again is no success, though the dump is whole.
    let wrong = ["--stop-command", &stop, "--start-command", "exit 3"];
    let made = run(&mut dumping(&stage, &platform, &stage.at("made"), &wrong));
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    assert!(stage.at("made/manifest.json").exists());
    assert_eq!(report(&made)["trouble"].as_array().unwrap().len(), 1);
}

#[test]
fn another_version_of_rqlite_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let other = Scratch::new(Setup {
        version: Some("v10.0.1"),
        ..Setup::default()
    });
    let target = stage
        .sqlite()
        .with("storages__engines__rqlite__url", &other.url);
    let refused = run(&mut restoring(&stage, &target, &archive, &[]));
    let said = super::one_line(&refused, 1);
    assert!(said.contains("10.0.1") && said.contains("9.4.5"), "{said}");
    assert!(!target.users.exists());
}
