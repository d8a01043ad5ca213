//! Where files come to be: what lies aside, what an earlier run left there, and file systems that can do less than others.

use super::draft::Draft;
use super::kills::{age, differences, postgres, sqlite, users};
use super::shared::targets;
use pryv_backup_tests::{
    command::{report, run, text},
    disk::SmallDisk,
    folder, need,
    stage::{Platform, Rows, Stage, of_user},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{MetadataExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

const ASIDE: &str = ".pryv-backup-restore";

/// Runs a command under `strace`, which makes system calls fail or kill; `None` where there is none.
fn traced(command: &Command, inject: &[&str]) -> Option<Output> {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null"]);
    for inject in inject {
        traced.args(["-e", &format!("inject={inject}")]);
    }
    traced.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(key, value),
            None => traced.env_remove(key),
        };
    }
    traced.current_dir(command.get_current_dir().unwrap());
    need::strace().then(|| traced.output().unwrap())
}

/// As NFS has it.
const RENAMES_ONLY: &str = "renameat2:error=EINVAL";

#[test]
fn a_file_system_that_can_only_rename() {
    for of_postgres in [false, true] {
        let Some(stage) = Stage::new() else { return };
        let made = match of_postgres {
            false => Some(sqlite(&stage)),
            true => postgres(&stage),
        };
        let Some((source, archive)) = made else {
            return;
        };
        age(&source);
        let (target, whole) = (stage.copy(&source), stage.copy(&source));
        // Files that no restore made stay.
        let [id, _] = &users(&archive, &stage)[0];
        for platform in [&target, &whole] {
            fs::create_dir_all(home(platform, id)).unwrap();
            fs::write(home(platform, id).join("preview"), "kept").unwrap();
        }
        let done = whole.restore(&archive, &["--overwrite"]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let due = whole.rows();
        // Over what is there, and where nothing is.
        let restoring = target.restoring(&archive, &["--overwrite"]);
        let Some(done) = traced(&restoring, &[RENAMES_ONLY]) else {
            return;
        };
        let differ = |platform: &Platform<'_>| differences(&platform.rows(), &due);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(target.rows() == due, "{:#?}", differ(&target));
        assert!(target.is_left_clean());
        let kept = fs::read(home(&target, id).join("preview")).unwrap();
        assert_eq!(kept, b"kept");
        let empty = match of_postgres {
            false => stage.sqlite(),
            true => stage.postgres().unwrap(),
        };
        let done = traced(&empty.restoring(&archive, &[]), &[RENAMES_ONLY]).unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        fs::write(home(&empty, id).join("preview"), "kept").unwrap();
        assert!(empty.rows() == due, "{:#?}", differ(&empty));
    }
}

/// Killed before and between its steps, where a folder is put in place in two: the next run finishes.
#[test]
fn killed_between_two_renames() {
    let Some(stage) = Stage::new() else { return };
    let (source, archive) = sqlite(&stage);
    age(&source);
    let [id, name] = &users(&archive, &stage)[0];
    let flags = ["--overwrite", "--user", name];
    let whole = stage.copy(&source);
    let done = whole.restore(&archive, &flags);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let (old, new) = (source.rows(), whole.rows());
    let of = |rows: &Rows| of_user(rows, [id, name]);
    let (mut kills, mut gone) = (0, 0);
    for call in 1.. {
        let target = stage.copy(&source);
        let kill = format!("/^rename(at)?$:signal=KILL:when={call}");
        let restoring = target.restoring(&archive, &flags);
        let Some(killed) = traced(&restoring, &[RENAMES_ONLY, &kill]) else {
            return;
        };
        if killed.status.success() {
            break;
        }
        kills += 1;
        gone += usize::from(!home(&target, id).exists());
        // On another system, or the same one.
        let settle = target.restoring(&archive, &[]);
        let next = match call % 2 {
            0 => target.restore(&archive, &[]),
            _ => traced(&settle, &[RENAMES_ONLY]).unwrap(),
        };
        assert_eq!(next.status.code(), Some(5), "{call}: {}", text(&next));
        let now = of(&target.rows());
        assert!(
            now == of(&old) || now == of(&new),
            "{call}: {:#?}",
            differences(&now, &of(&new))
        );
        let again = target.restore(&archive, &flags);
        assert_eq!(again.status.code(), Some(0), "{call}: {}", text(&again));
        assert!(target.rows() == new && target.is_left_clean(), "{call}");
    }
    assert!(
        kills > 3 && gone > 0,
        "{kills} kills, {gone} between the steps"
    );
}

/// Somebody who can write to the users' folder has put something there for a restore, which mostly runs as root, to follow.
#[test]
fn nothing_is_followed_or_swept_that_is_not_of_a_restore() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    fs::create_dir(&target.users).unwrap();
    let victim = stage.at("victim");
    fs::create_dir_all(victim.join("precious/deep")).unwrap();
    for path in ["a.tmp", "new-a", "precious/deep/file", "x.begun"] {
        fs::write(victim.join(path), "mine").unwrap();
    }
    let before = folder::tree(&victim);
    let aside = target.users.join(ASIDE);
    let refused = |says: &str| {
        for flags in [&[][..], &["--dry-run"]] {
            let refused = target.restore(&archive, flags);
            assert_eq!(
                refused.status.code(),
                Some(1),
                "{flags:?}: {}",
                text(&refused)
            );
            assert!(text(&refused).contains(says), "{}", text(&refused));
            assert!(folder::tree(&victim) == before);
        }
    };
    symlink(&victim, &aside).unwrap();
    refused("is no folder");
    fs::remove_file(&aside).unwrap();
    symlink(stage.at("nowhere"), &aside).unwrap();
    refused("is no folder");
    assert!(!stage.at("nowhere").exists());
    fs::remove_file(&aside).unwrap();
    fs::create_dir(&aside).unwrap();
    if fs::metadata(&aside).unwrap().uid() == 0 {
        chown(&aside, Some(4242), None).unwrap();
        refused("belongs neither to root nor to the owner");
        chown(&aside, Some(0), None).unwrap();
    }
    // The lock is no way out either.
    symlink(victim.join("a.tmp"), aside.join("lock")).unwrap();
    let out = target.restore(&archive, &[]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(
        text(&out).contains("something else is there"),
        "{}",
        text(&out)
    );
    fs::remove_file(aside.join("lock")).unwrap();
    // Files that no restore made stay.
    folder::copy(&victim, &aside.join("files"));
    symlink(&victim, aside.join("files-link")).unwrap();
    fs::write(aside.join("notes.txt"), "mine").unwrap();
    let done = target.restore(&archive, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(folder::tree(&victim) == before && folder::tree(&aside.join("files")) == before);
    assert!(aside.join("notes.txt").exists() && aside.join("files-link").is_symlink());
}

/// A folder that is elsewhere cannot be replaced: that is said before anything of the user is touched.
#[test]
fn folders_of_users_that_are_elsewhere() {
    let Some(stage) = Stage::new() else { return };
    for source in std::iter::once(stage.sqlite_fixture()).chain(stage.postgres_fixture()) {
        let engine = if source.database.is_some() {
            "postgres"
        } else {
            "sqlite"
        };
        let archive = source.backup(&format!("archive-{engine}"));
        let [id, name] = &users(&archive, &stage)[0];
        let target = stage.copy(&source);
        let elsewhere = stage.at(&format!("elsewhere-{engine}"));
        fs::rename(home(&target, id), &elsewhere).unwrap();
        // Whoever looks into a file of SQLite leaves others beside it.
        let files = || {
            let mut files = folder::tree(&elsewhere);
            files.retain(|path, _| !path.ends_with("-wal") && !path.ends_with("-shm"));
            files
        };
        let before = files();
        let failed = |says: &str| {
            let rows = of_user(&target.rows(), [id, name]);
            let done = target.restore(&archive, &["--overwrite"]);
            assert_eq!(done.status.code(), Some(5), "{}", text(&done));
            for user in report(&done)["users"].as_array().unwrap() {
                if user["userId"] == *id {
                    assert_eq!(user["outcome"], "failed", "{user}");
                    assert!(user["reason"].as_str().unwrap().contains(says), "{user}");
                } else {
                    assert_eq!(user["outcome"], "restored", "{user}");
                }
            }
            assert!(of_user(&target.rows(), [id, name]) == rows);
            assert!(target.is_left_clean());
        };
        symlink(&elsewhere, home(&target, id)).unwrap();
        failed("is a link");
        assert!(files() == before);
        fs::remove_file(home(&target, id)).unwrap();
        fs::write(home(&target, id), "a file").unwrap();
        failed("is no folder");
        fs::remove_file(home(&target, id)).unwrap();
        let Some(disk) = SmallDisk::mount(home(&target, id), "size=1m") else {
            return;
        };
        failed("is on another file system");
        drop(disk);
        let done = target.restore(&archive, &["--overwrite"]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    }
}

/// Ids that would clash with what a restore calls its own files.
#[test]
fn user_ids_that_look_like_names_of_a_restore() {
    let Some(stage) = Stage::new() else { return };
    let mut draft = Draft::new(&stage, "archive");
    for (user, id) in ["lock", "xyz", "xyz.json", "xyz.tmp"]
        .into_iter()
        .enumerate()
    {
        let former = draft.id(user);
        fs::rename(
            draft.root.join("users").join(former),
            draft.root.join("users").join(id),
        )
        .unwrap();
        draft.manifest["users"][user]["userId"] = id.into();
    }
    draft.seal();
    for target in targets(&stage) {
        for flags in [&[][..], &["--overwrite"]] {
            let done = target.restore(&draft.root, flags);
            let said = report(&done);
            let outcomes = said["users"].as_array().unwrap().iter();
            assert!(
                outcomes.into_iter().all(|u| u["outcome"] == "restored"),
                "{said}"
            );
            assert!(target.is_left_clean());
        }
    }
}

/// Leftovers of a run of an earlier version: a committed user who is not in place, one that was begun, and the list.
#[test]
fn what_an_earlier_version_left_is_understood() {
    let Some(stage) = Stage::new() else { return };
    let (source, archive) = sqlite(&stage);
    let new = source.rows();
    let target = stage.copy(&source);
    age(&target);
    let old = target.rows();
    let all = users(&archive, &stage);
    let ([id, name], [other, other_name]) = (&all[0], &all[1]);
    let aside = target.users.join(ASIDE);
    for (from, to) in [(id.clone(), "0"), (format!("user.{name}"), "1")] {
        if home(&source, &from).exists() {
            folder::copy(&home(&source, &from), &aside.join(id).join(to));
            fs::write(aside.join(id).join(to).join(".pryv-backup-restored"), "").unwrap();
        }
    }
    let owners = [id.clone(), format!("user.{name}")];
    let journal = json!({"userId": id, "username": name, "mark": "Journal", "owners": owners});
    fs::write(aside.join(format!("{id}.json")), journal.to_string()).unwrap();
    folder::copy(&home(&source, other), &aside.join(other).join("0"));
    fs::write(aside.join(format!("{other}.tmp")), "{\"us").unwrap();
    let next = target.restore(&archive, &[]);
    assert_eq!(next.status.code(), Some(5), "{}", text(&next));
    assert_eq!(report(&next)["recovered"], json!([name]));
    let now = target.rows();
    let of = |rows: &Rows, user: [&str; 2]| of_user(rows, user);
    assert!(of(&now, [id, name]) == of(&new, [id, name]));
    assert!(of(&now, [other, other_name]) == of(&old, [other, other_name]));
    assert!(target.is_left_clean());
    // On the list of those who stand and of whom nothing was told yet.
    fs::create_dir(&aside).unwrap();
    let archive_id = report(&next)["archiveId"].as_str().unwrap().to_owned();
    let list = aside.join(format!("{}.begun", &archive_id[..32]));
    fs::write(&list, format!("{}\n", json!({"userId": id}))).unwrap();
    let next = target.restore(&archive, &[]);
    let first = &report(&next)["users"][0];
    assert_eq!(first["outcome"], "restored", "{}", text(&next));
    assert!(target.is_left_clean());
}

/// A journal is of a transaction, which the server knows the end of, or not.
#[test]
fn what_the_server_says_of_a_transaction() {
    let Some(stage) = Stage::new() else { return };
    let Some((source, archive)) = postgres(&stage) else {
        return;
    };
    let [id, name] = &users(&archive, &stage)[0];
    let aside = source.users.join(ASIDE);
    let before = source.rows();
    let leave = |transaction: &str| {
        let files = aside.join(format!("files-{id}/0"));
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("file"), "new").unwrap();
        let mark = json!({"Transaction": transaction});
        let journal = json!({"userId": id, "username": name, "mark": mark, "owners": [id]});
        fs::write(aside.join(format!("journal-{id}")), journal.to_string()).unwrap();
    };
    let own = source.sql("SELECT system_identifier FROM pg_control_system()");
    let aborted = source.sql("BEGIN; SELECT pg_current_xact_id(); ROLLBACK");
    for mark in [aborted.clone(), format!("{aborted}@{own}")] {
        leave(&mark);
        let next = source.restore(&archive, &[]);
        let said = report(&next);
        assert_eq!(said["undone"], json!([name]), "{said}");
        assert_eq!(said["recovered"], json!([]));
        assert!(source.rows() == before && source.is_left_clean());
    }
    for mark in [
        "99999999".to_owned(),
        format!("99999999@{own}"),
        format!("{aborted}@17"),
    ] {
        // A restore has given deleted streams the defaults of their columns.
        let before = source.rows();
        leave(&mark);
        let refused = source.restore(&archive, &["--overwrite"]);
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let path = aside.join(format!("journal-{id}"));
        let advice = format!("after removing {}", path.display());
        assert!(
            said.contains("does not know") && said.contains(&advice),
            "{said}"
        );
        assert!(source.rows() == before);
        fs::remove_file(path).unwrap();
        let done = source.restore(&archive, &["--overwrite"]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(source.is_left_clean());
    }
    // Neither does a list stop anybody.
    fs::create_dir(&aside).unwrap();
    let archive_id: Value = report(&source.restore(&archive, &["--dry-run"]))["archiveId"].clone();
    let list = aside.join(format!("begun-{}", &archive_id.as_str().unwrap()[..32]));
    let entry = json!({"userId": id, "transaction": "99999999"});
    fs::write(&list, format!("{entry}\n")).unwrap();
    let done = source.restore(&archive, &[]);
    let said = report(&done);
    let skipped = said["users"].as_array().unwrap().iter();
    assert!(
        skipped.into_iter().all(|u| u["outcome"] == "skipped"),
        "{said}"
    );
    assert!(source.is_left_clean());
}

/// The folder of a user.
fn home(platform: &Platform<'_>, id: &str) -> PathBuf {
    let last: Vec<String> = id.chars().rev().take(3).map(String::from).collect();
    let mut path: PathBuf = Path::new(&platform.users).to_owned();
    path.extend(last);
    path.join(id)
}

/// The machine stops: whoever is on the list is so after it, users without files too.
#[test]
fn the_list_is_on_the_disk_before_the_commit() {
    let Some(stage) = Stage::new() else { return };
    let Some((_, archive)) = postgres(&stage) else {
        return;
    };
    let target = stage
        .postgres()
        .unwrap()
        .with("storages__file__engine", "postgresql");
    if !need::strace() {
        return;
    }
    let log = stage.at("calls");
    let mut command = target.restoring(&archive, &[]);
    let said = run(Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-y",
            "-e",
            "trace=write,sendto,fdatasync,fsync,syncfs",
            "-o",
        ])
        .arg(&log)
        .arg(command.get_program())
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(command.get_current_dir().unwrap()));
    assert_eq!(said.status.code(), Some(0), "{}", text(&said));
    command.arg("--overwrite");
    let calls = fs::read_to_string(&log).unwrap();
    let at = |what: &dyn Fn(&str) -> bool| calls.lines().position(what).unwrap();
    let listed = at(&|call| call.contains("write(") && call.contains("/begun-"));
    let synced = at(&|call| call.contains("sync(") && call.contains("/begun-"));
    let committed = at(&|call| call.contains("sendto(") && call.contains("COMMIT"));
    assert!(
        listed < synced && synced < committed,
        "{listed} {synced} {committed}"
    );
}
