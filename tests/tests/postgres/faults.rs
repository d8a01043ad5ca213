//! Interruptions: a lost connection, a signal, a full disk. None leaves a folder that looks like a backup.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text, with_hangup};
use pryv_backup_tests::disk::SmallDisk;
use pryv_backup_tests::fill::Size;
use pryv_backup_tests::folder::tree;
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::Setup;
use pryv_backup_tests::session::Session;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Roles with limits of their own are no reason for half a backup.
#[test]
fn limits_of_the_role_do_not_cut_a_backup_off() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "CREATE ROLE hurried LOGIN; GRANT pg_read_all_data TO hurried; ALTER ROLE hurried SET statement_timeout = 1; \
         ALTER ROLE hurried SET idle_in_transaction_session_timeout = 1; ALTER ROLE hurried SET idle_session_timeout = 200",
    );
    let made = case.backup(
        "archive",
        &[("storages__engines__postgresql__user", "hurried")],
    );
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
}

#[test]
fn a_connection_that_is_lost_is_a_failure() {
    let size = Size {
        users: 20,
        events: 10_000,
        ..SMALL
    };
    let Some(case) = Case::new(&Setup::default(), &size) else {
        return;
    };
    let mut child = case.command("failed", &[]).spawn().unwrap();
    let kill = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity \
                WHERE application_name = 'pryv-backup' AND query LIKE 'COPY%FROM events%' AND state = 'active'";
    Session::new(&case.server, &case.database).wait_until(kill, &mut child);
    let ended = child.wait_with_output().unwrap();
    let said = text(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("PostgreSQL at") && said.contains("57P01"),
        "{said}"
    );
    assert!(!case.folder.path().join("failed/manifest.json").exists());
}

/// While the backup waits for a lock of somebody else: it does not wait on, and nothing of it stays.
#[test]
fn a_signal_ends_the_run_in_order() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut somebody = Session::new(&case.server, &case.database);
        somebody.lock("webhooks");
        let mut child = case.command("failed", &[]).spawn().unwrap();
        somebody.wait_for_waiting(&mut child);
        let pid = child.id().to_string();
        Command::new("kill").args([signal, &pid]).status().unwrap();
        let started = Instant::now();
        let ended = child.wait_with_output().unwrap();
        assert!(started.elapsed() < Duration::from_secs(60), "it waits on");
        drop(somebody);
        let said = text(&ended);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains("interrupted"), "{said}");
        assert!(!case.folder.path().join("failed").exists());
    }
}

#[test]
fn a_full_disk_leaves_no_backup() {
    let size = Size {
        users: 20,
        events: 500,
        ..SMALL
    };
    let Some(case) = Case::new(&Setup::default(), &size) else {
        return;
    };
    // Full at the first files, and later.
    for (name, size) in [("first", "size=100k"), ("later", "size=2m")] {
        let Some(disk) = SmallDisk::mount(case.folder.path().join(name), size) else {
            return;
        };
        let made = case.backup(&format!("{name}/archive"), &[]);
        let said = text(&made);
        assert_eq!(made.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("No space left on device"), "{said}");
        assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 0);
    }
}

#[test]
fn a_killed_run_is_no_backup_and_the_next_one_starts_clean() {
    let size = Size {
        users: 20,
        events: 5_000,
        ..SMALL
    };
    let Some(case) = Case::new(&Setup::default(), &size) else {
        return;
    };
    let made = case.backup("before", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let before = tree(&case.folder.path().join("before"));
    let archive = case.folder.path().join("archive");
    let staging = archive.join(".pryv-backup-partial");
    let mut child = case.command("archive", &[]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !staging.join("users").is_dir() {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(staging.is_dir() && !archive.join("manifest.json").exists());
    let opened = run(Command::new(pryv_backup_tests::command::tool())
        .args(["decrypt", "--verify"])
        .arg(&archive));
    assert_eq!(opened.status.code(), Some(2), "{}", text(&opened));
    assert!(tree(&case.folder.path().join("before")) == before);

    let again = case.backup("archive", &[]);
    let said = text(&again);
    assert_eq!(again.status.code(), Some(0), "{said}");
    assert!(said.contains("an earlier run did not finish"), "{said}");
    assert!(!staging.exists());
    let users = Plain::read(&archive).json("manifest.json")["users"].clone();
    assert_eq!(users.as_array().unwrap().len(), 20);
    // The server holds nothing for the dead.
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pryv-backup'";
    assert_eq!(case.server.sql(&case.database, left), "0");
}

/// A users folder that is wrong must not pass for one in which nobody has an audit trail.
#[test]
fn a_wrong_folder_of_users_is_noticed() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server
        .sql(&case.database, "UPDATE events SET attachments = NULL");
    let audit = ("storages__audit__engine", "sqlite");
    let said = case.failure(&[audit, ("storages__engines__sqlite__path", "nowhere")]);
    assert!(
        said.contains("nowhere") && said.contains("storages.engines.sqlite.path"),
        "{said}"
    );

    let empty = case.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let settings = [audit, ("storages__engines__sqlite__path", "empty")];
    let made = case.backup("of-empty", &settings);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert!(
        said.contains("LOST") && said.contains("no user has a folder there"),
        "{said}"
    );
    let quiet = case.backup(
        "not-audited",
        &[settings[0], settings[1], ("audit__active", "false")],
    );
    assert_eq!(quiet.status.code(), Some(0), "{}", text(&quiet));

    // Points of series that should be there.
    case.server.sql(
        &case.database,
        "INSERT INTO events (user_id, id, type) SELECT min(user_id), 's', 'series:mass/kg' FROM users_index",
    );
    let series = ("storages__series__engine", "sqlite");
    let made = case.backup(
        "no-series",
        &[
            settings[1],
            series,
            ("storages__audit__engine", "postgresql"),
        ],
    );
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert!(
        said.contains("LOST") && said.contains("the points of series"),
        "{said}"
    );

    // One that cannot be looked into: here it is not even a folder.
    let user = case
        .server
        .sql(&case.database, "SELECT min(user_id) FROM users_index");
    let shards: Vec<String> = user.chars().rev().take(3).map(String::from).collect();
    let folder = empty.join(shards.join("/"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(&user), "").unwrap();
    let made = case.backup("unreadable", &settings);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert!(
        said.contains("LOST") && said.contains("audit-1.0.0.sqlite"),
        "{said}"
    );
}

/// Whoever listens may be gone, or the disk behind it full.
#[test]
fn nobody_has_to_listen() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let stands = |name: &str| case.folder.path().join(name).join("manifest.json").exists();
    let ended = case
        .command("quiet", &[])
        .arg("-v")
        .stderr(full())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(stands("quiet"));
    // The report is lost, which the exit code tells; the backup is not.
    let ended = case
        .command("unsaid", &[])
        .arg("--json")
        .stdout(full())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended));
    assert!(
        text(&ended).contains("what was done stands"),
        "{}",
        text(&ended)
    );
    assert!(stands("unsaid"));
    // A reader that goes away, as `head` does.
    let mut child = case.command("head", &[]).arg("--json").spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));
    assert!(stands("head"));
}

/// At whatever byte the disk is full, up to the last file: nothing is left of the backup.
#[test]
fn a_disk_that_is_full_at_the_very_end_leaves_no_backup() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let Some(measured) = SmallDisk::mount(case.folder.path().join("measured"), "size=64m") else {
        return;
    };
    let pages = |disk: &SmallDisk| {
        let made = run(Command::new("df")
            .args(["--block-size=4096", "--output=used"])
            .arg(&disk.0));
        text(&made)
            .lines()
            .last()
            .unwrap()
            .trim()
            .parse::<u64>()
            .unwrap()
    };
    let made = case.backup("measured/archive", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let needed = pages(&measured);
    for missing in 1..=4 {
        let name = format!("short-{missing}");
        let size = format!("size={}k", (needed - missing) * 4);
        let disk = SmallDisk::mount(case.folder.path().join(&name), &size).unwrap();
        let made = case.backup(&format!("{name}/archive"), &[]);
        let said = text(&made);
        assert_eq!(made.status.code(), Some(1), "{missing}: {said}");
        assert!(said.contains("No space left on device"), "{said}");
        assert_eq!(
            fs::read_dir(&disk.0).unwrap().count(),
            0,
            "{missing}: {said}"
        );
    }
}

/// A terminal that is closed; what is made belongs to its owner alone.
#[test]
fn a_closed_terminal_ends_the_run_and_files_are_private() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let hung_up = |name: &str, ignored: bool| {
        let mut somebody = Session::new(&case.server, &case.database);
        somebody.lock("webhooks");
        let mut child = with_hangup(&case.command(name, &[]), ignored)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        somebody.wait_for_waiting(&mut child);
        let pid = child.id().to_string();
        Command::new("kill").args(["-HUP", &pid]).status().unwrap();
        if ignored {
            drop(somebody);
        }
        child.wait_with_output().unwrap()
    };
    let ended = hung_up("failed", false);
    assert_eq!(ended.status.code(), Some(129), "{}", text(&ended));
    assert!(!case.folder.path().join("failed").exists());
    // Who starts it with `nohup` wants it to go on.
    let ended = hung_up("done", true);
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));

    let made = case.backup("private", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let archive = case.folder.path().join("private");
    for path in pryv_backup_tests::folder::files(&archive)
        .iter()
        .chain([&archive])
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}
