//! A Pryv.io core that runs, others who read, and a folder or a server that is not there.

use super::conflicts::index;
use super::shared::targets;
use pryv_backup_tests::{
    command::{report, run, signal, text},
    stage::{Platform, Stage},
};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

fn free_port() -> String {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.local_addr().unwrap().port().to_string()
}

fn warnings(target: &Platform<'_>, archive: &Path) -> String {
    let dry = target.restore(archive, &["--dry-run"]);
    report(&dry)["warnings"].to_string()
}

/// Refused and nothing changed; done all the same when that is asked for; and a dry run tells.
fn assert_refused(target: &Platform<'_>, archive: &Path, sign: &str) {
    let before = target.rows();
    let done = target.restore(archive, &["--overwrite"]);
    let said = text(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("nothing was restored: a Pryv.io core seems to be running")
            && said.contains("--force"),
        "{said}"
    );
    assert!(said.contains(sign), "{said}");
    assert!(target.rows() == before && target.is_left_clean());
    assert!(warnings(target, archive).contains(sign));
    let done = target.restore(archive, &["--overwrite", "--force"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said["warnings"].to_string().contains(sign), "{said}");
}

/// A program under another name, which does nothing.
fn program(stage: &Stage, like: &str, name: &str) -> PathBuf {
    let path = stage.at(name);
    fs::copy(like, &path).unwrap();
    path
}

fn holding(program: &Path, file: &Path) -> Child {
    let held = fs::File::open(file).unwrap();
    let child = Command::new(program)
        .arg("600")
        .stdin(held)
        .spawn()
        .unwrap();
    // Until it is the program that it is to be.
    let exe = format!("/proc/{}/exe", child.id());
    while fs::read_link(&exe).ok().as_deref() != Some(program) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_core_that_runs() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = listener.local_addr().unwrap().port().to_string();
    for target in targets(&stage) {
        let target = target.with("http__port", &busy);
        assert_refused(&target, &archive, "something answers at 127.0.0.1");
    }
    let target = stage.sqlite().with("http__port", &free_port());
    index(&target, "", "");
    assert_eq!(warnings(&target, &archive), "[]");
    // The run itself is nobody.
    let done = target.restore(&archive, &["--user", "alice"]);
    assert_eq!(report(&done)["warnings"].to_string(), "[]");
    let file = target.users.join("user-index.db");
    let sleep = ["/bin/sleep", "/usr/bin/sleep"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let mut node = holding(&program(&stage, sleep.unwrap(), "node"), &file);
    assert_refused(
        &target,
        &archive,
        &format!("node (process {}) has files of", node.id()),
    );
    end(&mut node);
    // Somebody else may look.
    let mut other = holding(&program(&stage, sleep.unwrap(), "reader"), &file);
    assert_named(
        &target,
        &archive,
        &format!("reader (process {}) has files of", other.id()),
    );
    end(&mut other);
}

fn end(child: &mut Child) {
    signal(child, "-KILL");
    child.wait().unwrap();
}

fn assert_named(target: &Platform<'_>, archive: &Path, who: &str) {
    let done = target.restore(archive, &["--overwrite"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said["warnings"].to_string().contains(who), "{said}");
}

#[test]
fn connections_to_the_database() {
    let Some(stage) = Stage::new() else { return };
    let Some(target) = stage.postgres() else {
        return;
    };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = target.with("http__port", &free_port());
    assert_eq!(warnings(&target, &archive), "[]");
    let server = stage.server().unwrap();
    // Without a name, as a core's are, and with one.
    for (name, is_core) in [("", true), ("pgAdmin", false)] {
        let mut other = server
            .client("psql")
            .arg(target.database.as_ref().unwrap())
            .args([
                "-c",
                &format!("SET application_name = '{name}'; SELECT pg_sleep(600)"),
            ])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let asleep = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid() AND application_name = '{name}'"
        );
        while target.count(&asleep) == 0 {}
        if is_core {
            assert_refused(
                &target,
                &archive,
                "1 connections to the database are those of a core",
            );
        } else {
            assert_named(&target, &archive, "pgAdmin (user postgres)");
        }
        target.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()");
        other.wait().unwrap();
        target.wait_until_alone();
    }
}

#[test]
fn a_folder_of_users_that_is_not_there() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    for target in targets(&stage) {
        for flags in [&[][..], &["--dry-run"]] {
            let done = run(target
                .command()
                .arg("--restore")
                .arg(&archive)
                .arg("--private-key")
                .arg(stage.key())
                .args(flags));
            let said = text(&done);
            assert_eq!(done.status.code(), Some(2), "{said}");
            let named = target.users.to_str().unwrap();
            assert!(
                said.contains("--create-users-dir") && said.contains(named),
                "{said}"
            );
            assert!(!target.users.exists());
        }
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    }
}

/// The advice is a flag that this command has, and that helps.
#[test]
fn rqlite_that_does_not_answer() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    let archive = source.backup("archive");
    let url = format!("http://127.0.0.1:{}", free_port());
    let source = source.with("storages__engines__rqlite__url", &url);
    let backup = |flags: &[&str]| {
        run(source
            .command()
            .args(flags)
            .arg("--output")
            .arg(stage.at("second")))
    };
    let failed = backup(&[]);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    assert!(
        text(&failed).contains("--platform none") && !text(&failed).contains("--skip-platform")
    );
    let made = backup(&["--platform", "none"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let target = stage.sqlite().with("storages__engines__rqlite__url", &url);
    let failed = target.restore(&archive, &[]);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    assert!(
        text(&failed).contains("--skip-platform") && !text(&failed).contains("--platform none")
    );
    let done = target.restore(&archive, &["--skip-platform"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
}

/// A trigger of the files that all share keeps a row out: it is named before the start, and the next restore without it finishes.
#[test]
fn a_trigger_of_the_index_of_users() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    index(&target, "", "");
    let file = rusqlite::Connection::open(target.users.join("user-index.db")).unwrap();
    file.execute_batch(
        "CREATE TRIGGER keeper BEFORE INSERT ON id4name WHEN new.username = 'alice' BEGIN SELECT RAISE(IGNORE); END",
    )
    .unwrap();
    assert!(warnings(&target, &archive).contains("trigger keeper of table id4name"));
    let done = target.restore(&archive, &[]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(5), "{said}");
    for user in said["users"].as_array().unwrap() {
        let is_alice = user["username"] == "alice";
        let due = if is_alice { "unfinished" } else { "restored" };
        assert_eq!(user["outcome"], due, "{said}");
    }
    file.execute_batch("DROP TRIGGER keeper").unwrap();
    drop(file);
    let done = target.restore(&archive, &[]);
    assert_eq!(report(&done)["recovered"][0], "alice", "{}", report(&done));
    assert!(target.is_left_clean());
}
