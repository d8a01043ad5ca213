//! Into platforms of the SQLite engine.

use pryv_backup_tests::{
    command::{report, run, text, tool},
    folder,
    stage::{Stage, assert_full_text, assert_paths},
};
use rusqlite::Connection;
use std::{fs, process::Command};

#[test]
fn a_platform_comes_back_row_by_row() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    let first = source.backup("first");
    let target = stage.sqlite();
    let done = target.restore(&first, &["--verify-integrity"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(said["users"].as_array().unwrap().len(), 4);
    // Real platforms hold records that never matched.
    assert!(
        said["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|u| u["integrity"]["matching"].as_u64().unwrap() > 20)
    );

    let (before, after) = (source.rows(), target.rows());
    for (table, rows) in &before {
        let restored = after.get(table).cloned().unwrap_or_default();
        let lacking: Vec<_> = rows.difference(&restored).collect();
        let added: Vec<_> = restored.difference(rows).collect();
        // The reader gives every shared access a device, were it none.
        let explained = |row: &&&String| table.ends_with(" accesses") && row.contains("shared");
        assert!(
            lacking.iter().all(|row| explained(&row)) && lacking.len() == added.len(),
            "{table}: {lacking:#?} {added:#?}"
        );
    }
    assert_paths(&target.users);
    assert_full_text(&target.users);
    assert!(target.is_left_clean());
    let second = target.backup("second");
    assert_eq!(stage.diff(&first, &second)["same"], true);

    // Again: nothing without being told to, and the same with it.
    let again = target.restore(&first, &[]);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again));
    assert!(target.rows() == after);
    assert!(
        report(&again)["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|u| u["outcome"] == "skipped")
    );
    let again = target.restore(&first, &["--overwrite"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert!(target.rows() == after);
}

/// Pryv.io looks for audit trails of a former version unless a file says that there are none.
#[test]
fn pryv_finds_no_former_audit_trails() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let name = "audit-db-version-1.0.0.txt";
    let due = fs::read(stage.fixtures.join("platform-sqlite/users").join(name)).unwrap();
    let beside = stage
        .postgres()
        .map(|target| target.with("storages__audit__engine", "sqlite"));
    for target in std::iter::once(stage.sqlite()).chain(beside) {
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert_eq!(fs::read(target.users.join(name)).unwrap(), due);
    }
    if let Some(target) = stage.postgres() {
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(!target.users.join(name).exists());
    }
    // Somebody is still to be migrated.
    let target = stage.sqlite();
    let other = target.users.join("x/y/z/other-zyx");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("audit.sqlite"), "").unwrap();
    let done = target.restore(&archive, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(!target.users.join(name).exists());
}

/// Archives of Pryv's own tool, from either engine.
#[test]
fn archives_of_pryv_come_back_too() {
    let Some(stage) = Stage::new() else { return };
    for archive in ["plain-sqlite", "plain-pg"] {
        let archive = stage.fixtures.join("archives").join(archive);
        let target = stage.sqlite();
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        assert!(matches!(done.status.code(), Some(0 | 5)), "{said}");
        for user in said["users"].as_array().unwrap() {
            assert_eq!(user["outcome"], "restored", "{user}");
            assert!(user["records"]["events"].as_u64().unwrap() > 50);
            assert!(user["records"]["audit"].as_u64().unwrap() > 10);
            assert!(user["records"]["attachments"].as_u64().unwrap() > 5);
        }
        // Who set a password is not in these; all rows are.
        let rows = target.rows();
        let total = |ending: &str| -> usize {
            rows.iter()
                .filter(|(t, _)| t.ends_with(ending))
                .map(|(_, r)| r.len())
                .sum()
        };
        assert_eq!(total(" passwords"), 12);
        assert!(total("audit-1.0.0.sqlite events") > 2000);
        let audit = rows
            .iter()
            .filter(|(t, _)| t.ends_with("audit-1.0.0.sqlite events"));
        for (_, rows) in audit {
            assert!(
                rows.iter()
                    .all(|row| row.contains("access-") && row.contains(".."))
            );
        }
        // A JSON value of one engine is its text in the other.
        for (table, rows) in rows
            .iter()
            .filter(|(t, _)| t.ends_with(" storeKeyValueData"))
        {
            assert!(
                rows.iter()
                    .any(|row| row.contains("k2") && row.contains("\\\"str\\\"")),
                "{table}: {rows:?}"
            );
        }
        assert_paths(&target.users);
        assert_full_text(&target.users);
    }
}

/// Somebody else is there under the name, the id or the address.
#[test]
fn whoever_is_there_already_is_in_the_way() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    fs::create_dir(&target.users).unwrap();
    let index = Connection::open(target.users.join("user-index.db")).unwrap();
    index
        .execute_batch(
            "CREATE TABLE id4name (username TEXT PRIMARY KEY, userId TEXT NOT NULL); \
             CREATE TABLE alias4id (alias TEXT PRIMARY KEY, userId TEXT NOT NULL); \
             INSERT INTO id4name VALUES ('alice', 'someone-else-altogether')",
        )
        .unwrap();
    drop(index);
    let before = target.rows();
    let refused = target.restore(&archive, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(
        text(&refused).contains("another user called \"alice\""),
        "{}",
        text(&refused)
    );
    assert!(target.rows() == before, "something was written");
    let dry = target.restore(&archive, &["--dry-run"]);
    assert_eq!(dry.status.code(), Some(5), "{}", text(&dry));
    let records = report(&dry)["users"][0]["records"].clone();
    assert!(records.as_object().unwrap().is_empty());

    // With another name there is room.
    let done = target.restore(&archive, &["--remap-user", "alice=alicia"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    let index = Connection::open(target.users.join("user-index.db")).unwrap();
    let both = "SELECT count(*) FROM id4name WHERE username IN ('alice', 'alicia')";
    let names: i64 = index.query_row(both, [], |r| r.get(0)).unwrap();
    assert_eq!(names, 2);
    assert!(
        folder::tree(&target.users)
            .keys()
            .any(|p| p.contains("user.alicia/series"))
    );

    // A unique value that another user holds.
    let other = stage.sqlite();
    let scratch = other.rqlite.as_ref().unwrap();
    scratch.fill([("user-unique/email/alice@exa.example", "mallory")]);
    let refused = other.restore(&archive, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(
        text(&refused).contains("the email of \"alice\""),
        "{}",
        text(&refused)
    );
    let done = other.restore(&archive, &["--skip-conflicts"]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    let said = report(&done);
    let users = said["users"].as_array().unwrap().iter();
    assert_eq!(users.filter(|u| u["outcome"] == "restored").count(), 3);
}

/// With what of the platform's own database is hers.
#[test]
fn one_user_comes_alone() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    let done = target.restore(&archive, &["--user", "alice"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(said["users"].as_array().unwrap().len(), 1);
    assert!(said["platform"].as_u64().unwrap() > 5, "{said}");
    let again = run(Command::new(tool())
        .arg("cat")
        .arg(target.backup("again"))
        .args(["platform/platform.jsonl", "--private-key"])
        .arg(stage.key()));
    let entries = String::from_utf8(again.stdout).unwrap();
    assert!(
        entries.lines().count() > 3 && entries.contains("\"email\""),
        "{entries}"
    );
    assert!(
        entries.lines().all(|line| line.contains("\"alice\"")),
        "{entries}"
    );
    let nobody = target.restore(&archive, &["--user", "nobody"]);
    assert_eq!(nobody.status.code(), Some(2), "{}", text(&nobody));
}

#[test]
fn a_damaged_backup_is_not_restored_at_all() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    let some = folder::tree(&archive);
    let victim = some.keys().rfind(|p| p.contains("/audit/")).unwrap();
    let path = archive.join(victim);
    let mut bytes = some[victim].clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let refused = target.restore(&archive, &[]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(
        text(&refused).contains(victim.as_str()),
        "{}",
        text(&refused)
    );
    assert!(!target.users.exists());
    fs::write(&path, &some[victim]).unwrap();
    let fine = target.restore(&archive, &["--verify-only"]);
    assert_eq!(fine.status.code(), Some(0), "{}", text(&fine));
    assert!(!target.users.exists());
    let wrong = run(target
        .command()
        .args(["--create-users-dir", "--restore"])
        .arg(&archive)
        .arg("--private-key")
        .arg(stage.fixtures.join("keys/recipient.pub.pem")));
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong));
}

/// The backup goes only when every user of it came back.
#[test]
fn the_backup_is_moved_or_removed_when_all_is_well() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    for (n, flags) in [
        &["--delete-on-success"][..],
        &["--move-on-success", "done/moved"],
    ]
    .into_iter()
    .enumerate()
    {
        let archive = source.backup(&format!("archive-{n}"));
        let before = folder::tree(&archive);
        // Everybody is there already.
        let all = [flags, &["--skip-conflicts"]].concat();
        let none = source.restore(&archive, &all);
        assert_eq!(none.status.code(), Some(5), "{}", text(&none));
        assert!(folder::tree(&archive) == before);
        let target = stage.sqlite();
        let one = [flags, &["--user", "alice"]].concat();
        let one = target.restore(&archive, &one);
        assert_eq!(one.status.code(), Some(2), "{}", text(&one));
        assert!(folder::tree(&archive) == before);

        let done = target.restore(&archive, flags);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(!archive.exists());
        if flags.len() > 1 {
            assert!(folder::tree(&stage.at("done/moved")) == before);
        }
    }
}
